import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { MemoryStore } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import { WebSocketServer } from 'ws'
import { createSessionBridge } from 'ws-session-bridge'
import { startApp, type App, type AppOptions } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { open, refused } from '../support/client.js'
import { createGate, gatedStore } from '../support/gate.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'
import { startGated } from './held-handshake.js'

type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

/** A second bridge on the server of the first, with the path /second. */
function attachSecond(app: App, options: AppOptions['bridge'] = {}) {
  const bridge = createSessionBridge({ ...options, session: app.sessionOptions })
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

describe('an upgrade listener of another library', () => {
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

  it('has the time of a handshake for a path that no mount has', async () => {
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
    expect(app.refusals).toEqual([{ reason: 'answered-elsewhere', status: 0 }])
    expect(connected).not.toHaveBeenCalled()
    expect(app.bridge.stats().pending).toBe(0)
  })
})

/** An app beside whose bridge another listener takes what `answer` answers. */
async function startBeside(answer: UpgradeListener, options: Partial<AppOptions> = {}) {
  const gated = gatedStore(new MemoryStore())
  const app = await startApp({ ...options, store: gated.store, bridge: { handshakeTimeoutMs: 200, ...options.bridge } })
  app.server.on('upgrade', answer)
  return { app, hold: gated.hold, cookie: await app.login('ada') }
}

/** A bridge that waits for nothing but its `close()`. */
const patient = { bridge: { handshakeTimeoutMs: 60_000 } } satisfies AppOptions

/** The same with a bridge whose `close()` waits for the last client, which goes by `leave()`. */
async function startClosing(answer: UpgradeListener) {
  const { app, cookie } = await startBeside((request, socket, head) => {
    if (request.url !== '/ws') answer(request, socket, head)
  }, patient)
  const holdout = rawRequest(app.port, upgradeRequest({ cookie }))
  await holdout.receivedUntil('\r\n\r\n')
  return { app, closed: app.bridge.close(), leave: () => holdout.socket.destroy() }
}

const silent: UpgradeListener = () => undefined

/** As a proxy does that forwards every upgrade: it answers, and goes on writing. */
const answersAll: UpgradeListener = (_request, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nfirst ')
}

describe('an unclaimed upgrade beside another listener', () => {
  it('is answered 404 at the deadline, and told of', async () => {
    const { app } = await startBeside(silent)
    const answer = await rawRequest(app.port, upgradeRequest({ path: '/nowhere' })).received()
    expect(answer).toMatch(/^HTTP\/1\.1 404 [^]*\r\n\r\nNot Found\n$/)
    expect(app.refusals).toEqual([{ reason: 'not-found', status: 404 }])
  })

  it('is answered 404 on a connection that has carried a request before', async () => {
    const { app } = await startBeside(silent)
    const client = rawRequest(app.port, 'GET /me HTTP/1.1\r\nHost: app.test\r\n\r\n')
    await client.receivedUntil('\r\n\r\n')
    client.socket.write(upgradeRequest({ path: '/nowhere' }))
    expect(await client.received()).toMatch(/HTTP\/1\.1 404 [^]*\r\n\r\nNot Found\n$/)
  })

  it('is left alone once the other listener has answered', async () => {
    const { app } = await startBeside(answersAll)
    const client = rawRequest(app.port, upgradeRequest({ path: '/nowhere' }))
    await client.receivedUntil('first ')
    // Its own unclaimed upgrade comes later, and its deadline therefore after that of the first.
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(client.socket.destroyed).toBe(false)
    expect(app.refusals).toEqual([])
    client.socket.destroy()
  })

  it('is answered when the bridge closes, so that the server can close', async () => {
    const { app } = await startBeside(silent, { bridge: { handshakeTimeoutMs: 60_000 } })
    const upgrade = once(app.server, 'upgrade')
    const client = rawRequest(app.port, upgradeRequest({ path: '/nowhere' }))
    await upgrade
    const closed = once(app.server, 'close')
    app.server.close()
    await app.bridge.close()
    expect(await client.received()).toMatch(/^HTTP\/1\.1 503 /)
    await closed
    expect(app.refusals).toEqual([{ reason: 'shutting-down', status: 503 }])
  })

  it('is left to its listener when the first of two bridges closes', async () => {
    const gate = createGate()
    const { app } = await startBeside((_request, socket) => {
      void gate.wait().then(() => socket.end('HTTP/1.1 418 A teapot\r\nConnection: close\r\n\r\n'))
    }, patient)
    attachSecond(app, patient.bridge)
    const client = rawRequest(app.port, upgradeRequest({ path: '/slow' }))
    await gate.arrived
    await app.bridge.close()
    gate.open()
    expect(await client.received()).toMatch(/^HTTP\/1\.1 418 [^]*\r\n\r\n$/)
    expect(app.refusals).toEqual([])
  })

  it('is answered 404 by the second bridge when no listener has answered and the first bridge has closed', async () => {
    const { app } = await startBeside(silent, patient)
    const { refuse } = attachSecond(app, { handshakeTimeoutMs: 200 })
    const upgrade = once(app.server, 'upgrade')
    const client = rawRequest(app.port, upgradeRequest({ path: '/nowhere' }))
    await upgrade
    await app.bridge.close()
    expect(await client.received()).toMatch(/^HTTP\/1\.1 404 /)
    expect([app.refusals.length, refuse.mock.calls.length]).toEqual([0, 1])
  })

  it.each([
    ['503 by the bridge that closes', false, 503],
    ['404 in time by a second bridge', true, 404],
  ])('is answered %s when it arrives meanwhile', async (_who, hasSecond, status) => {
    const { app, closed, leave } = await startClosing(silent)
    if (hasSecond) attachSecond(app, { handshakeTimeoutMs: 200 })
    const answer = await rawRequest(app.port, upgradeRequest({ path: '/nowhere' })).received()
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    leave()
    await closed
  })

  it('is left to a listener that answers at once when it arrives while the bridge closes', async () => {
    const { app, closed, leave } = await startClosing(answersAll)
    const client = rawRequest(app.port, upgradeRequest({ path: '/nowhere' }))
    await client.receivedUntil('first ')
    leave()
    await closed
    expect(client.socket.destroyed).toBe(false)
    expect(app.refusals).toEqual([])
    client.socket.destroy()
  })

  it('is the bridge’s own again when a later listener hands it to handleUpgrade', async () => {
    const { app, cookie } = await startBeside(silent, {
      mount: { path: '/elsewhere' },
      bridge: { handshakeTimeoutMs: 1_000 },
    })
    app.server.on('upgrade', (request, socket, head) => {
      setImmediate(() => {
        app.bridge.handleUpgrade(app.wss, request, socket, head)
      })
    })
    const { ws } = await open(app.wsUrl, { cookie })
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    expect(ws.readyState).toBe(ws.OPEN)
  })
})

describe('an upgrade of the bridge that another listener has answered meanwhile', () => {
  it.each(['with', 'without'])('gets nothing written on top of that answer, %s a cookie', async (_how) => {
    const { app, hold, cookie } = await startBeside(answersAll)
    const gate = hold('get')
    const refusal = once(app.bridge, 'refuse')
    const client = rawRequest(app.port, upgradeRequest(_how === 'with' ? { cookie } : {}))
    await client.receivedUntil('first ')
    gate.open()
    await refusal
    client.socket.end()
    expect(await client.receivedUntil('first ')).toMatch(/^HTTP\/1\.1 101 [^]*\r\n\r\nfirst $/)
    expect(app.refusals).toEqual([{ reason: 'answered-elsewhere', status: 0 }])
    expect(app.bridge.stats()).toMatchObject({ pending: 0, sockets: 0, accepted: 0 })
    client.socket.destroy()
  })

  it('stays open, and is a fault once for a server, which names the way out', async () => {
    const { app } = await startBeside(answersAll)
    const clients = [1, 2].map(() => rawRequest(app.port, upgradeRequest()))
    await expect.poll(() => app.refusals.length).toBe(2)
    expect(clients.map(({ socket }) => socket.destroyed)).toEqual([false, false])
    expect(app.faults).toMatchObject([{ message: expect.stringContaining('docs/on-a-shared-server.md') as string }])
    for (const { socket } of clients) socket.destroy()
  })

  it('is seen also where the other listener was there first and answers at once', async () => {
    const app = await startApp()
    const server = createServer()
    server.on('upgrade', answersAll)
    app.bridge.attach(server, app.wss, { path: '/ws' })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    atEnd(() => server.close())
    const client = rawRequest((server.address() as AddressInfo).port, upgradeRequest())
    await client.receivedUntil('first ')
    await expect.poll(() => app.refusals).toEqual([{ reason: 'answered-elsewhere', status: 0 }])
    client.socket.destroy()
  })

  it('does not end with the deadline of the bridge, nor with the leaving of the client', async () => {
    const { app, hold, cookie } = await startBeside(answersAll)
    hold('get')
    const client = rawRequest(app.port, upgradeRequest({ cookie }), { allowHalfOpen: true })
    await client.receivedUntil('first ')
    await expect.poll(() => app.refusals).toEqual([{ reason: 'answered-elsewhere', status: 0 }])
    expect(client.socket.destroyed).toBe(false)
    client.socket.destroy()
  })
})

describe('a mount without a path on a server that has other upgrade listeners', () => {
  it('is a fault at its first upgrade, once', async () => {
    const { app, cookie } = await startBeside(silent, { mount: {}, bridge: { handshakeTimeoutMs: 5_000 } })
    expect(app.faults).toEqual([])
    await open(app.wsUrl, { cookie })
    await open(app.wsUrl, { cookie })
    expect(app.faults).toMatchObject([{ message: expect.stringContaining('without `path`') as string }])
  })

  it('is none where the bridges are alone', async () => {
    const app = await startApp({ mount: {} })
    attachSecond(app)
    await open(app.wsUrl, { cookie: await app.login('ada') })
    expect(app.faults).toEqual([])
  })
})
