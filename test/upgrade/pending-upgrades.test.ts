import { once } from 'node:events'
import type { Socket } from 'node:net'
import { describe, expect, it, vi } from 'vitest'
import { open } from '../support/client.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'
import { awaits, holdHandshake, nextRefusal, startGated } from './held-handshake.js'
import { closing, listenersOf } from './raw-socket.js'

describe('the deadline of a handshake', () => {
  it.each(awaits)('answers 503 when nothing comes back at %s', async (where) => {
    const startedAt = performance.now()
    const { app, client, connected, gate, cookie } = await holdHandshake(where, { handshakeTimeoutMs: 500 })
    expect(await client.received()).toMatch(/^HTTP\/1\.1 503 /)
    expect(performance.now() - startedAt).toBeGreaterThan(490)
    expect(app.refusals).toEqual([{ reason: 'timeout', status: 503 }])
    expect(app.bridge.stats().pending).toBe(0)

    // What comes after it changes nothing.
    gate.open()
    await open(app.wsUrl, { cookie })
    expect(connected).toHaveBeenCalledOnce()
    expect(app.refusals).toHaveLength(1)
  })

  it('holds for authenticate() as well', async () => {
    const { app, gate, cookie } = await startGated('authorize', { handshakeTimeoutMs: 50 })
    const verdict = await new Promise((resolve) => {
      app.app.get('/check', (request) => void app.bridge.authenticate(request).then(resolve))
      void app.call('GET', '/check', cookie).catch(() => undefined)
    })
    expect(verdict).toEqual({ accepted: false, refusal: { reason: 'timeout', status: 503 } })
    expect(app.bridge.stats()).toMatchObject({ pending: 0, refused: { timeout: 1 } })
    gate.open()
  })

  it('runs for each handshake by itself', async () => {
    const { app, gate, cookie, client } = await holdHandshake('authorize', { handshakeTimeoutMs: 1_000 })
    expect(await client.received()).toMatch(/^HTTP\/1\.1 503 /)
    const second = rawRequest(app.port, upgradeRequest({ cookie }))
    gate.open()
    expect(await second.receivedUntil('\r\n\r\n')).toMatch(/^HTTP\/1\.1 101 /)
    // Its deadline would have passed by the time that a third one's does.
    vi.spyOn(app.store, 'get').mockReturnValue(undefined)
    expect(await rawRequest(app.port, upgradeRequest({ cookie })).received()).toMatch(/^HTTP\/1\.1 503 /)
    expect(second.socket.destroyed).toBe(false)
    expect(app.bridge.stats()).toMatchObject({ pending: 0, sockets: 1, refused: { timeout: 2 } })
  })
})

describe('the places of the handshakes under way', () => {
  it('are capped: one more is answered 503 with Retry-After, before any store call', async () => {
    const { app, gate, cookie, client } = await holdHandshake('authorize', { maxPending: 1 })
    const get = vi.spyOn(app.store, 'get')
    const answer = await rawRequest(app.port, upgradeRequest({ cookie })).received()
    expect(answer).toMatch(/^HTTP\/1\.1 503 /)
    expect(answer).toMatch(/\r\nRetry-After: 1\r\n/)
    expect(get).not.toHaveBeenCalled()
    expect(app.refusals).toEqual([{ reason: 'too-many-pending', status: 503 }])
    expect(app.bridge.stats().pending).toBe(1)
    gate.open()
    expect(await client.receivedUntil('\r\n\r\n')).toMatch(/^HTTP\/1\.1 101 /)
  })

  it('are capped for authenticate() as well', async () => {
    const { app, cookie } = await holdHandshake('authorize', { maxPending: 1 })
    app.app.get('/check', async (request, response) => {
      response.json(await app.bridge.authenticate(request))
    })
    const response = await app.call('GET', '/check', cookie)
    expect(await response.json()).toMatchObject({ accepted: false, refusal: { reason: 'too-many-pending' } })
  })

  it.each([
    ['a reset', (socket: Socket) => socket.resetAndDestroy(), 'client-gone'],
    ['a close', (socket: Socket) => socket.end(), 'client-gone'],
    ['the deadline', () => undefined, 'timeout'],
  ] as const)('are given back at %s', async (_way, leave, reason) => {
    const { app, gate, cookie, client } = await holdHandshake('authorize', { maxPending: 1, handshakeTimeoutMs: 1_000 })
    const refusal = nextRefusal(app.bridge)
    leave(client.socket)
    expect((await refusal).reason).toBe(reason)
    gate.open()
    const next = await open(app.wsUrl, { cookie })
    expect(next.ws.readyState).toBe(next.ws.OPEN)
  })

  it('are given back by a 101 and by a refusal', async () => {
    const { app, gate, cookie } = await startGated('authorize', { maxPending: 1 })
    gate.open()
    for (let round = 0; round < 3; round += 1) {
      await open(app.wsUrl, { cookie })
      expect(app.bridge.stats().pending).toBe(0)
      expect(await rawRequest(app.port, upgradeRequest()).received()).toMatch(/^HTTP\/1\.1 401 /)
      expect(app.bridge.stats().pending).toBe(0)
    }
    expect(app.bridge.stats()).toMatchObject({ accepted: 3, refused: { 'no-cookie': 3, 'too-many-pending': 0 } })
  })

  it('leave nothing on the raw socket of a WebSocket but what ws itself put there', async () => {
    const { app, gate, client, socket } = await holdHandshake('authorize')
    gate.open()
    await client.receivedUntil('\r\n\r\n')
    const bridged = listenersOf(socket)

    const plainUpgrade = new Promise<Socket>((resolve) => {
      app.server.removeAllListeners('upgrade').on('upgrade', (request, plain: Socket, head) => {
        // The fixture has put one on the other as well.
        void closing(plain)
        app.wss.handleUpgrade(request, plain, head, () => {
          resolve(plain)
        })
      })
    })
    rawRequest(app.port, upgradeRequest())
    const { finish = 0, ...plain } = listenersOf(await plainUpgrade)
    // One reads the remote address while it can still be read.
    expect(bridged).toEqual({ ...plain, finish: finish + 1 })
  })
})

describe('a server with handshakes under way', () => {
  it('closes once the bridge is closed, and each of them is answered 503', async () => {
    const { app, cookie, client } = await holdHandshake('the answer of the store')
    const { store } = app
    vi.spyOn(store, 'get').mockReturnValue(undefined)
    const others = [rawRequest(app.port, upgradeRequest({ cookie })), rawRequest(app.port, upgradeRequest({ cookie }))]
    await vi.waitUntil(() => app.bridge.stats().pending === 3, { interval: 2, timeout: 5_000 })

    const serverClosed = once(app.server, 'close')
    app.server.close()
    await app.bridge.close()
    await serverClosed
    for (const { received } of [client, ...others]) expect(await received()).toMatch(/^HTTP\/1\.1 503 /)
    expect(app.refusals).toEqual(Array(3).fill({ reason: 'shutting-down', status: 503 }))
    expect(app.bridge.stats().pending).toBe(0)
  })
})
