// messages that know the session.
import 'reflect-metadata'
import type { IncomingMessage, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Module, type INestApplication } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { WsAdapter } from '@nestjs/platform-ws'
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets'
import session, { MemoryStore } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import type { WebSocket } from 'ws'
import { createSessionBridge, type Refusal, type SessionBridge, type SessionContext } from 'ws-session-bridge'
import { until } from '../live/bound.js'
import { verifierOf } from '../recipes/verify-client.js'
import { cookieOf } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { open, refused } from '../support/client.js'
import { forgedFrom } from '../support/forged-cookie.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'
import { sessionRoutes } from '../support/session-routes.js'
import { textFrame } from '../upgrade/raw-socket.js'
import { BridgedWsAdapter } from './nest-app.js'

/** A way from Nest's sockets to their sessions. */
interface Way {
  adapter(app: INestApplication): WsAdapter
  /** Of the gateway, besides its path. */
  readonly options: object
  handleConnection(ws: WebSocket, request: IncomingMessage, context?: SessionContext): void
}

function byAdapter(bridge: SessionBridge): Way {
  return {
    adapter: (app) => new BridgedWsAdapter(app, bridge),
    options: {},
    handleConnection(ws, _request, context) {
      if (context !== bridge.contextOf(ws)) ws.close(1011)
    },
  }
}

/** Nest takes `path: 'chat'` for '/chat'. */
function byAdapterWithoutSlash(bridge: SessionBridge): Way {
  return { ...byAdapter(bridge), options: { path: 'chat' } }
}

function byVerifyClient(bridge: SessionBridge): Way {
  const { verifyClient, contextOf } = verifierOf(bridge)
  // #region docs
  function handleConnection(ws: WebSocket, request: IncomingMessage): void {
    const context = contextOf(request)
    if (context) bridge.bind(context, ws)
    else ws.close()
  }
  // #endregion
  return { adapter: (app) => new WsAdapter(app), options: { verifyClient }, handleConnection }
}

/** `@WebSocketGateway({ path: '/chat' })` and so on, by hand: decorators of this kind need a compiler option of their own. */
function moduleOf(bridge: SessionBridge, { options, handleConnection }: Way, opened: () => void): new () => object {
  class ChatGateway {
    handleConnection(...args: Parameters<Way['handleConnection']>) {
      opened()
      handleConnection(...args)
    }
    who(ws: WebSocket) {
      return { event: 'who', data: bridge.contextOf(ws)?.session.user }
    }
    async visit(ws: WebSocket) {
      const { views } = await bridge.contextOf(ws)!.update((draft) => void (draft.views = (draft.views ?? 0) + 1))
      return { event: 'visit', data: views }
    }
  }
  for (const name of ['who', 'visit'] as const) {
    const { prototype } = ChatGateway
    SubscribeMessage(name)(prototype, name, Object.getOwnPropertyDescriptor(prototype, name)!)
  }
  WebSocketGateway({ path: '/chat', ...options })(ChatGateway)
  class ChatModule {
    readonly gateway = ChatGateway
  }
  Module({ providers: [ChatGateway] })(ChatModule)
  return ChatModule
}

async function startNest(wayOf: (bridge: SessionBridge) => Way) {
  const sessionOptions = { store: new MemoryStore(), secret: 'a secret', resave: false, saveUninitialized: false }
  const bridge = createSessionBridge({ session: sessionOptions })
  const refusals: Refusal[] = []
  bridge.on('refuse', (refusal) => refusals.push(refusal))
  const opened = vi.fn()
  const way = wayOf(bridge)
  const app = await NestFactory.create(moduleOf(bridge, way, opened), { logger: false })
  app.use(session(sessionOptions))
  app.use(sessionRoutes())
  app.useWebSocketAdapter(way.adapter(app))
  atEnd(async () => {
    await bridge.close()
    await app.close()
  })
  await app.listen(0, '127.0.0.1')
  const { port } = (app.getHttpServer() as Server).address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  const post = (path: string, cookie = '') => fetch(url + path, { method: 'POST', headers: { cookie } })
  return {
    app,
    bridge,
    refusals,
    opened,
    port,
    url,
    chat: `ws://127.0.0.1:${port}/chat`,
    post,
    login: async () => {
      const response = await post('/login?name=ada')
      await response.text()
      return cookieOf(response)
    },
  }
}

const message = (event: string) => JSON.stringify({ event })

describe.each([
  ['an adapter that attaches its servers to the bridge', byAdapter],
  ['an adapter and a path without a slash', byAdapterWithoutSlash],
  ['a verifyClient that asks the bridge', byVerifyClient],
])('a Nest gateway, by %s', (_how, wayOf) => {
  it('reads the session in a message handler, as it is now, and writes it', async () => {
    const nest = await startNest(wayOf)
    const cookie = await nest.login()
    const { ws, next } = await open(nest.chat, { cookie })
    const ask = async (event: string) => {
      ws.send(message(event))
      return JSON.parse(await next()) as { data: unknown }
    }
    expect((await ask('who')).data).toBe('ada')
    expect((await ask('visit')).data).toBe(1)
    await (await nest.post('/login?name=grace', cookie)).text()
    await until(() => [...nest.bridge.connections()].every(({ session: { user } }) => user === 'grace'))
    expect((await ask('who')).data).toBe('grace')
    const me = await fetch(`${nest.url}/me`, { headers: { cookie } })
    expect(await me.json()).toEqual({ user: 'grace', views: 1 })
    ws.close()
    await until(() => nest.bridge.stats().sockets === 0)
  })

  it('hears a message that comes along with the upgrade', async () => {
    const nest = await startNest(wayOf)
    const request = upgradeRequest({ path: '/chat', cookie: await nest.login() })
    await rawRequest(nest.port, request + textFrame(message('who'))).receivedUntil('"data":"ada"')
  })

  it('never opens a socket for a forged cookie, or without one', async () => {
    const nest = await startNest(wayOf)
    for (const cookie of [forgedFrom(await nest.login()), undefined]) {
      expect((await refused(nest.chat, { cookie })).status).toBe(401)
    }
    expect(nest.opened).not.toHaveBeenCalled()
    expect(nest.refusals).toMatchObject([{ reason: 'bad-signature' }, { reason: 'no-cookie' }])
  })

  it('closes the socket when the session logs out', async () => {
    const nest = await startNest(wayOf)
    const cookie = await nest.login()
    const { closed } = await open(nest.chat, { cookie })
    await nest.post('/logout', cookie)
    expect(await closed).toEqual({ code: 4401, reason: 'destroyed' })
    expect(nest.bridge.stats()).toMatchObject({ sockets: 0, sessions: 0, faults: 0 })
  })

  it('closes its sockets when the application closes', async () => {
    const nest = await startNest(wayOf)
    await open(nest.chat, { cookie: await nest.login() })
    await nest.app.close()
    await until(() => nest.bridge.stats().sockets === 0)
    expect(nest.bridge.stats()).toMatchObject({ ended: { closed: 1 }, faults: 0 })
  })
})
