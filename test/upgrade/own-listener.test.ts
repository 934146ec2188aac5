import { EventEmitter } from 'node:events'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { describe, expect, it, vi } from 'vitest'
import { WebSocketServer } from 'ws'
import { startApp, type App, type AppOptions } from '../support/app.js'
import { open, refused } from '../support/client.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'
import { createGate } from '../support/gate.js'
import { textFrame } from './raw-socket.js'

type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

/** An app whose upgrades go to a listener of its user's own, made with the app in hand. */
async function startOwn(listener: (app: App) => UpgradeListener, bridge: AppOptions['bridge'] = {}) {
  const app = await startApp({ bridge })
  app.server.removeAllListeners('upgrade').on('upgrade', listener(app))
  const connected = vi.fn()
  app.wss.on('connection', connected)
  return { app, connected, cookie: await app.login('ada') }
}

describe('handleUpgrade in a listener of the user’s own', () => {
  it('throws nothing at arguments that are no request and no socket', async () => {
    const { bridge, wss, faults } = await startApp()
    const handle = bridge.handleUpgrade.bind(bridge) as (...args: unknown[]) => void
    expect(() => {
      handle(wss, {}, {}, Buffer.alloc(0))
    }).not.toThrow()
    expect(() => {
      handle(undefined, undefined, undefined, undefined)
    }).not.toThrow()
    expect(faults).toEqual([expect.any(TypeError), expect.any(TypeError)])
  })

  it('throws nothing from a timer for a request with something that is no socket', async () => {
    const { bridge, wss, faults } = await startApp({ bridge: { handshakeTimeoutMs: 20 } })
    const uncaught = vi.fn()
    process.on('uncaughtExceptionMonitor', uncaught)
    const request = Object.assign(new IncomingMessage(new Socket()), {
      method: 'GET',
      url: '/ws',
      httpVersionMajor: 1,
      httpVersionMinor: 1,
      headers: {
        connection: 'upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        cookie: bridge.signedCookie('id'),
      },
    })
    // The last one could be answered, but not be destroyed a second later.
    const half = Object.assign(new EventEmitter(), { writable: true, end: () => undefined, resume: () => undefined })
    for (const socket of [{}, new EventEmitter(), undefined, half]) {
      bridge.handleUpgrade(wss, request, socket as never, Buffer.alloc(0))
    }
    await expect.poll(() => bridge.stats().pending).toBe(0)
    await new Promise((resolve) => setTimeout(resolve, 60))
    process.off('uncaughtExceptionMonitor', uncaught)
    expect(uncaught).not.toHaveBeenCalled()
    expect(faults).toEqual(Array(4).fill(expect.any(TypeError)))
  })

  it('has handshakeTimeoutMs after the verdict of authenticate() to answer: then the bridge answers 404', async () => {
    const handshakeTimeoutMs = 1_000
    const authorize = () => new Promise<boolean>((resolve) => setTimeout(resolve, handshakeTimeoutMs / 4, true))
    const { bridge, server, port, login } = await startApp({
      mount: { path: '/elsewhere' },
      bridge: { handshakeTimeoutMs, authorize },
    })
    let verdictAt = Infinity
    server.on('upgrade', (request: IncomingMessage) => {
      void bridge.authenticate(request).then(() => (verdictAt = performance.now()))
    })
    const cookie = await login('ada')
    expect(await rawRequest(port, upgradeRequest({ cookie })).received()).toMatch(/^HTTP\/1\.1 404 /)
    expect(performance.now() - verdictAt).toBeGreaterThan(handshakeTimeoutMs - 10)
  })

  it('lets in and refuses as a mount does', async () => {
    const { app, cookie, connected } = await startOwn(({ bridge, wss }) => (request, socket, head) => {
      bridge.handleUpgrade(wss, request, socket, head)
    })
    const client = await open(app.wsUrl, { cookie })
    expect(client.ws.readyState).toBe(client.ws.OPEN)
    expect((await refused(app.wsUrl)).status).toBe(401)
    expect(connected).toHaveBeenCalledOnce()
    expect(app.bridge.stats()).toMatchObject({ accepted: 1, refused: { 'no-cookie': 1 } })
  })

  it('has the first message when the listener took its time', async () => {
    const gate = createGate()
    const { app, cookie } = await startOwn(({ bridge, wss }) => (request, socket, head) => {
      void gate.wait().then(() => {
        bridge.handleUpgrade(wss, request, socket, head)
      })
    })
    const first = new Promise((resolve) => {
      app.wss.on('connection', (ws) => ws.once('message', (data: Buffer) => resolve(data.toString())))
    })
    const client = rawRequest(app.port, upgradeRequest({ cookie }))
    await gate.arrived
    client.socket.write(textFrame('early'), 'latin1')
    gate.open()
    expect(await first).toBe('early')
  })

  it('is harmless a second time for the same socket, whichever bridge or ws server it names', async () => {
    const other = await startApp()
    const { app, cookie, connected } = await startOwn(({ bridge, wss }) => (request, socket, head) => {
      bridge.handleUpgrade(wss, request, socket, head)
      bridge.handleUpgrade(wss, request, socket, head)
      other.bridge.handleUpgrade(other.wss, request, socket, head)
    })
    const client = await open(app.wsUrl, { cookie })
    expect(client.ws.readyState).toBe(client.ws.OPEN)
    expect(connected).toHaveBeenCalledOnce()
    expect(app.bridge.stats()).toMatchObject({ accepted: 1, faults: 0, pending: 0 })
    expect(other.bridge.stats().refused['no-session']).toBe(0)
  })

  it('is harmless for a socket that a mount has, too', async () => {
    const app = await startApp()
    app.server.on('upgrade', (request, socket, head) => {
      app.bridge.handleUpgrade(app.wss, request, socket, head)
    })
    const client = await open(app.wsUrl, { cookie: await app.login('ada') })
    expect(client.ws.readyState).toBe(client.ws.OPEN)
    expect(app.bridge.stats()).toMatchObject({ accepted: 1, faults: 0, pending: 0 })
  })

  it('answers a target that cannot be read once, also beside a mount that takes every path', async () => {
    const app = await startApp({ mount: {} })
    app.server.prependListener('upgrade', (request, socket, head) => {
      app.bridge.handleUpgrade(app.wss, request, socket, head)
    })
    const cookie = await app.login('ada')
    const answer = await rawRequest(
      app.port,
      upgradeRequest({ path: '//[', headers: { Upgrade: 'h2c' }, cookie }),
    ).received()
    expect(answer).toMatch(/^HTTP\/1\.1 400 [^]*\r\n\r\nBad Request\n$/)
    expect(app.refusals).toEqual([{ reason: 'bad-request', status: 400 }])
  })

  it('never throws, but refuses and tells, when it is given no ws server', async () => {
    const { app, cookie } = await startOwn(({ bridge }) => (request, socket, head) => {
      bridge.handleUpgrade(Object.create(null) as WebSocketServer, request, socket, head)
    })
    expect((await refused(app.wsUrl, { cookie })).status).toBe(404)
    expect(app.faults).toHaveLength(1)
    expect(app.bridge.stats().pending).toBe(0)
  })

  it.each([
    ['nothing', undefined, 'status'],
    ['a string', 'head', 'status'],
    ['bytes that are no Buffer', new Uint8Array(1), 'status'],
    ['nothing, where refusals are told by close codes', undefined, 'close'],
  ] as const)('refuses and tells before anything is written when its head is %s', async (_what, head, refuseWith) => {
    const { app, cookie, connected } = await startOwn(
      ({ bridge, wss }) =>
        (request, socket) => {
          bridge.handleUpgrade(wss, request, socket, head as never)
        },
      { refuseWith },
    )
    const get = vi.spyOn(app.store, 'get')
    const client = rawRequest(app.port, upgradeRequest({ cookie }))
    expect(await client.receivedUntil(refuseWith === 'status' ? ' 500 ' : 'failed')).toMatch(/^HTTP\/1\.1 (?:500|101) /)
    expect(app.faults).toMatchObject([{ name: 'TypeError', message: expect.stringContaining('`head`') as string }])
    expect(app.bridge.stats()).toMatchObject({
      pending: 0,
      accepted: 0,
      sockets: 0,
      refused: { 'authorize-failed': 1 },
    })
    expect(get).not.toHaveBeenCalled()
    expect(connected).not.toHaveBeenCalled()
    expect(app.wss.clients.size).toBe(0)
  })

  it('refuses and tells when the ws server’s verifyClient takes a callback', async () => {
    const asked = vi.fn()
    const wss = new WebSocketServer({
      noServer: true,
      verifyClient: (_info, answer) => {
        asked()
        answer(true)
      },
    })
    const { app, cookie } = await startOwn(({ bridge }) => (request, socket, head) => {
      bridge.handleUpgrade(wss, request, socket, head)
    })
    expect((await refused(app.wsUrl, { cookie })).status).toBe(500)
    expect(asked).not.toHaveBeenCalled()
    expect(app.faults).toMatchObject([{ name: 'TypeError' }])
    expect(app.bridge.stats()).toMatchObject({ pending: 0, accepted: 0, refused: { 'authorize-failed': 1 } })
  })
})

const httpRequest = 'GET /me HTTP/1.1\r\nHost: app.test\r\n\r\n'
const switching = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'

/** Who else may have an upgrade before the bridge is asked. */
const takers: Record<string, UpgradeListener> = {
  'a listener that writes': (_request, socket) => socket.write(`${switching}first `),
  'a listener that reads': (_request, socket) => socket.resume().write(`${switching}first `),
  'a ws server': (request, socket, head) => {
    new WebSocketServer({ noServer: true }).handleUpgrade(request, socket, head, (ws) => {
      ws.send('first ')
    })
  },
}

describe('a listener of the user’s own that asks authenticate() and answers nothing', () => {
  const asks = (before: UpgradeListener) =>
    startOwn(
      ({ bridge }) =>
        (request, socket, head) => {
          before(request, socket, head)
          void bridge.authenticate(request)
        },
      { handshakeTimeoutMs: 200 },
    )

  it('leaves a connection that has carried a request before to the bridge, which answers 404', async () => {
    const { app } = await asks(() => undefined)
    const client = rawRequest(app.port, httpRequest)
    await client.receivedUntil('\r\n\r\n')
    client.socket.write(upgradeRequest())
    expect(await client.received()).toMatch(/HTTP\/1\.1 404 [^]*\r\n\r\nNot Found\n$/)
  })

  it('leaves the end of such a connection to the bridge, too, when its client goes', async () => {
    const { app } = await startOwn(({ bridge }) => (request, socket) => {
      void bridge.authenticate(request)
      socket.resume()
    })
    const client = rawRequest(app.port, httpRequest, { allowHalfOpen: true })
    await client.receivedUntil('\r\n\r\n')
    client.socket.end(upgradeRequest())
    await client.received()
  })

  describe.each(Object.entries(takers))('behind %s', (_taker, take) => {
    it.each([
      ['after an earlier answer', true],
      ['together with an earlier request', false],
    ])('gets nothing written into what was sent %s', async (_when, waits) => {
      const { app } = await asks(take)
      const client = rawRequest(app.port, waits ? httpRequest : httpRequest + upgradeRequest())
      if (waits) await client.receivedUntil('\r\n\r\n')
      if (waits) client.socket.write(upgradeRequest())
      await client.receivedUntil('first ')
      await new Promise((resolve) => setTimeout(resolve, 300))
      expect(client.socket.destroyed).toBe(false)
      expect(await client.receivedUntil('first ')).not.toContain('404')
      client.socket.destroy()
    })
  })
})
