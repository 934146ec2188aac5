import { createServer, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { describe, expect, it, vi } from 'vitest'
import { WebSocketServer } from 'ws'
import { createSessionBridge } from 'ws-session-bridge'
import { startApp, type App } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { open, refused } from '../support/client.js'
import { createGate } from '../support/gate.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'
import { startGated } from './held-handshake.js'

/** A second bridge on the server of the first, with the path /second. */
function attachSecond(app: App) {
  const bridge = createSessionBridge({ session: app.sessionOptions })
  const wss = new WebSocketServer({ noServer: true })
  const refuse = vi.fn()
  bridge.on('refuse', refuse)
  bridge.attach(app.server, wss, { path: '/second' })
  atEnd(() => bridge.close())
  return { bridge, wss, refuse }
}

function urlOf({ port }: App, path: string): string {
  return `ws://127.0.0.1:${port}${path}`
}

describe('two bridges on one server', () => {
  it('share one listener, and each has its own path', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const second = attachSecond(app)
    expect(app.server.listenerCount('upgrade')).toBe(1)
    const [one, two] = [await open(app.wsUrl, { cookie }), await open(urlOf(app, '/second'), { cookie })]
    expect([one, two].map(({ ws }) => ws.readyState)).toEqual([1, 1])
    expect([app.bridge.stats().sockets, second.bridge.stats().sockets]).toEqual([1, 1])
  })

  it('answer 404 once for a path that neither has', async () => {
    const app = await startApp()
    const second = attachSecond(app)
    const answer = await rawRequest(app.port, upgradeRequest({ path: '/nowhere' })).received()
    expect(answer.match(/HTTP\/1\.1 404 /g)).toHaveLength(1)
    expect([app.refusals.length, second.refuse.mock.calls.length]).toEqual([1, 0])
  })

  it('refuse a path that the other has, on this server alone', async () => {
    const app = await startApp()
    const { bridge, wss } = attachSecond(app)
    expect(() => bridge.attach(app.server, wss, { path: '/ws' })).toThrow(TypeError)
    const elsewhere = createServer()
    bridge.attach(elsewhere, wss, { path: '/ws' })
    expect(elsewhere.listenerCount('upgrade')).toBe(1)
  })

  it('do not close each other', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const second = attachSecond(app)
    await second.bridge.close()
    const client = await open(app.wsUrl, { cookie })
    expect(client.ws.readyState).toBe(client.ws.OPEN)
    expect((await refused(urlOf(app, '/second'), { cookie })).status).toBe(404)
  })
})

describe('an upgrade listener of somebody else', () => {
  it('keeps its path', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const foreign = new WebSocketServer({ noServer: true })
    app.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (request.url !== '/foreign') return
      foreign.handleUpgrade(request, socket, head, (ws) => {
        ws.send('foreign')
      })
    })
    expect(await (await open(urlOf(app, '/foreign'))).next()).toBe('foreign')
    const client = await open(app.wsUrl, { cookie })
    expect(client.ws.readyState).toBe(client.ws.OPEN)
    expect(app.bridge.stats()).toMatchObject({ accepted: 1, refused: { 'not-found': 0 } })
  })

  it('has all the time it wants for a path that no mount has', async () => {
    const app = await startApp()
    const gate = createGate()
    app.server.on('upgrade', (_request, socket: Duplex) => {
      void gate.wait().then(() => socket.end('HTTP/1.1 418 A teapot\r\nConnection: close\r\n\r\n'))
    })
    const client = rawRequest(app.port, upgradeRequest({ path: '/slow' }))
    await gate.arrived
    // Another upgrade, there and back, finds nothing changed.
    expect((await refused(app.wsUrl)).status).toBe(401)
    gate.open()
    expect(await client.received()).toMatch(/^HTTP\/1\.1 418 [^]*\r\n\r\n$/)
    expect(app.bridge.stats().refused['not-found']).toBe(0)
  })

  it('may be gone again: a path that no mount has is then answered 404', async () => {
    const app = await startApp()
    const listener = vi.fn()
    app.server.on('upgrade', listener).off('upgrade', listener)
    expect((await refused(urlOf(app, '/slow'))).status).toBe(404)
  })

  it('that answers on a path of the bridge gets no 101 written behind its answer', async () => {
    const { app, cookie, gate, connected } = await startGated('authorize')
    const foreign = new WebSocketServer({ server: app.server, path: '/foreign' })
    atEnd(() => {
      foreign.close()
    })
    const client = rawRequest(app.port, upgradeRequest({ cookie }))
    await gate.arrived
    gate.open()
    expect(await client.received()).toMatch(/^HTTP\/1\.1 400 [^]*\r\n\r\nBad Request$/)
    expect(app.refusals).toEqual([{ reason: 'client-gone', status: 0 }])
    expect(connected).not.toHaveBeenCalled()
    expect(app.bridge.stats().pending).toBe(0)
  })
})
