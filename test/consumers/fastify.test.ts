// sockets of the same sessions.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import fastifyWebsocket from '@fastify/websocket'
import fastify from 'fastify'
import { describe, expect, it, vi } from 'vitest'
import type { SessionContext } from 'ws-session-bridge'
import { until } from '../live/bound.js'
import { startApp, type AppOptions } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { open, refused } from '../support/client.js'
import { forgedFrom } from '../support/forged-cookie.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'
import { textFrame } from '../upgrade/raw-socket.js'
import { chat } from './fastify-app.js'

async function startFastify(options?: AppOptions) {
  const app = await startApp(options)
  const server = fastify()
  await server.register(fastifyWebsocket)
  await server.register(chat, { bridge: app.bridge })
  const opened = vi.fn()
  server.websocketServer.on('connection', opened)
  atEnd(() => server.close())
  await server.listen({ port: 0, host: '127.0.0.1' })
  const { port } = server.server.address() as AddressInfo
  return { ...app, opened, port, chat: `ws://127.0.0.1:${port}/chat` }
}

describe('@fastify/websocket with a session', () => {
  it('reads it in a handler, as it is now, and writes it', async () => {
    const app = await startFastify()
    const cookie = await app.login('ada')
    const accepted = once(app.bridge, 'accept') as Promise<[SessionContext]>
    const { ws, next } = await open(app.chat, { cookie })
    ws.send('Who am I?')
    expect(await next()).toBe('You are ada')
    const [context] = await accepted
    await app.call('POST', '/login?name=grace', cookie)
    await until(() => context.session.user === 'grace')
    ws.send('Who am I now?')
    expect(await next()).toBe('You are grace')
    await context.update((draft) => void (draft.views = 7))
    expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({ user: 'grace', views: 7 })
    ws.close()
    await until(() => app.bridge.stats().sockets === 0)
  })

  it('hears a message that comes along with the upgrade', async () => {
    const app = await startFastify()
    const request = upgradeRequest({ path: '/chat', cookie: await app.login('ada') })
    expect(await rawRequest(app.port, request + textFrame('early')).receivedUntil('You are ada')).toContain('101')
  })

  it('never opens a socket for a forged cookie, or without one', async () => {
    const app = await startFastify()
    for (const cookie of [forgedFrom(await app.login('ada')), undefined]) {
      expect((await refused(app.chat, { cookie })).status).toBe(401)
    }
    expect(app.opened).not.toHaveBeenCalled()
    expect(app.refusals).toMatchObject([{ reason: 'bad-signature' }, { reason: 'no-cookie' }])
  })

  it('closes the socket when the session logs out in the Express app', async () => {
    const app = await startFastify()
    const cookie = await app.login('ada')
    const { ws, next, closed } = await open(app.chat, { cookie })
    ws.send('Who am I?')
    await next()
    await app.call('POST', '/logout', cookie)
    expect(await closed).toEqual({ code: 4401, reason: 'destroyed' })
    expect(app.bridge.stats()).toMatchObject({ sockets: 0, sessions: 0, faults: 0 })
  })

  it('closes a socket without a session, where the bridge accepts anonymous requests', async () => {
    const app = await startFastify({ bridge: { anonymous: 'accept' } })
    const { closed } = await open(app.chat)
    expect((await closed).code).toBe(1005)
  })
})
