// An http server that the bridge shares with another party, and what has to hold for every such pair.
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express, { type Express } from 'express'
import session, { MemoryStore } from 'express-session'
import { describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'
import { createSessionBridge, type Refusal, type SessionBridge, type SessionBridgeOptions } from 'ws-session-bridge'
import { cookieOf } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { open, refused } from '../support/client.js'
import { forgedFrom } from '../support/forged-cookie.js'
import { sessionRoutes } from '../support/session-routes.js'

/** Whoever else answers upgrades on the server. */
export interface OtherParty {
  /** Opens a WebSocket of the party's own and proves that it works. */
  useSocket(wsUrl: string): Promise<void>
  /** Closes what the party has open. */
  close(): unknown
}

export type Join = (shared: { server: Server; app: Express }) => Promise<OtherParty> | OtherParty

export interface SharedOptions {
  readonly order?: 'bridge first' | 'bridge last'
  /** Default: `/chat`. */
  readonly mount?: { path?: string }
  readonly bridge?: Partial<Omit<SessionBridgeOptions, 'session'>>
}

/** How long the other party has to answer a path that the bridge has no mount for. */
export const handshakeTimeoutMs = 2_000

/** A server with Express, the bridge's mount and another party. What is left open is cut at the test's end. */
export async function startShared(join: Join, { order = 'bridge first', ...options }: SharedOptions = {}) {
  const { mount = { path: '/chat' } } = options
  const sessionOptions = { store: new MemoryStore(), secret: 'a secret', resave: false, saveUninitialized: false }
  const app = express()
  app.use(session(sessionOptions))
  app.use(sessionRoutes())
  const server = createServer(app)
  const bridge = createSessionBridge({ handshakeTimeoutMs, ...options.bridge, session: sessionOptions })
  const told = listenTo(bridge)
  const wss = new WebSocketServer({ noServer: true })
  wss.on('connection', (ws, request) => {
    ws.send(`chat: ${bridge.contextOf(ws)?.session.user ?? String(request.url)}`)
  })

  if (order === 'bridge first') bridge.attach(server, wss, mount)
  const other = await join({ server, app })
  if (order === 'bridge last') bridge.attach(server, wss, mount)
  atEnd(async () => {
    await Promise.all([bridge.close(), other.close()])
    server.closeAllConnections()
    server.close()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  const login = await fetch(`${url}/login?name=ada`, { method: 'POST' })
  await login.text()
  return { server, bridge, other, url, wsUrl: `ws://127.0.0.1:${port}`, port, cookie: cookieOf(login), ...told }
}

function listenTo(bridge: SessionBridge): { refusals: Refusal[]; faults: Error[] } {
  const refusals: Refusal[] = []
  const faults: Error[] = []
  bridge.on('refuse', (refusal) => refusals.push(refusal))
  bridge.on('fault', (error) => faults.push(error))
  return { refusals, faults }
}

/** The tests that every party has to pass, attached before the bridge and after it. */
export function testSharedServer(party: string, join: Join): void {
  describe.each(['bridge first', 'bridge last'] as const)(`the bridge and ${party} on one server, the %s`, (order) => {
    it('each serve their own sockets at the same time', async () => {
      const { wsUrl, cookie, other, faults, bridge } = await startShared(join, { order })
      const { ws, next } = await open(`${wsUrl}/chat`, { cookie })
      expect(await next()).toBe('chat: ada')
      await other.useSocket(wsUrl)
      expect(await (await open(`${wsUrl}/chat`, { cookie })).next()).toBe('chat: ada')
      expect(ws.readyState).toBe(ws.OPEN)
      expect(bridge.stats()).toMatchObject({ sockets: 2, pending: 0 })
      expect(faults).toEqual([])
    })

    it('a forged cookie gets 401 from the bridge, and nothing from the other party', async () => {
      const { wsUrl, cookie, refusals, faults } = await startShared(join, { order })
      expect((await refused(`${wsUrl}/chat`, { cookie: forgedFrom(cookie) })).status).toBe(401)
      expect((await refused(`${wsUrl}/chat`)).status).toBe(401)
      expect(refusals.map(({ reason }) => reason)).toEqual(['bad-signature', 'no-cookie'])
      expect(faults).toEqual([])
    })

    it('a path that no listener has gets 404 within handshakeTimeoutMs', async () => {
      const { wsUrl, cookie, refusals } = await startShared(join, { order })
      expect((await refused(`${wsUrl}/nowhere`, { cookie })).status).toBe(404)
      expect(refusals).toMatchObject([{ reason: 'not-found', status: 404 }])
    })

    it('a shutdown finishes, with sockets of both and an unanswered upgrade still open', async () => {
      const { wsUrl, cookie, server, bridge, other } = await startShared(join, { order })
      const { closed } = await open(`${wsUrl}/chat`, { cookie })
      await other.useSocket(wsUrl)
      const arrived = once(server, 'upgrade')
      const unanswered = refused(`${wsUrl}/nowhere`)
      await arrived
      const serverClosed = once(server, 'close')
      await bridge.close()
      await other.close()
      server.close()
      await serverClosed
      expect((await closed).code).toBe(1001)
      expect((await unanswered).status).toBeGreaterThanOrEqual(400)
    })
  })
}
