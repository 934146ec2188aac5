import type { Duplex } from 'node:stream'
import { describe, expect, it, vi } from 'vitest'
import { WebSocketServer, type ServerOptions } from 'ws'
import { startApp, type AppOptions } from '../support/app.js'
import { open, refused } from '../support/client.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'

/** An app with a ws server of these options at /own, and a login. */
async function startWith(options: ServerOptions, bridge: AppOptions['bridge'] = {}) {
  const app = await startApp({ bridge: { ...bridge, maxPending: 1 } })
  const wss = new WebSocketServer({ ...options, noServer: true })
  const connected = vi.fn()
  wss.on('connection', connected)
  app.bridge.attach(app.server, wss, { path: /^\/own/ })
  return { app, wss, connected, cookie: await app.login('ada'), url: `ws://127.0.0.1:${app.port}/own` }
}

describe('what the ws server has to say', () => {
  it('is asked: a verifyClient that says no refuses with the same bytes as every 403, and the place is given back', async () => {
    const verifyClient = vi.fn(() => false)
    const { app, connected, cookie, url } = await startWith({ verifyClient })
    const answerTo = (headers: Record<string, string>) =>
      rawRequest(app.port, upgradeRequest({ path: '/own', cookie, headers })).received()
    expect(await answerTo({})).toBe(await answerTo({ Origin: 'https://evil.test' }))
    app.refusals.length = 0
    expect((await refused(url, { cookie })).status).toBe(403)
    expect(verifyClient).toHaveBeenCalledTimes(2)
    expect(app.refusals).toMatchObject([{ reason: 'forbidden' }])
    expect(connected).not.toHaveBeenCalled()
    expect(app.bridge.stats()).toMatchObject({ pending: 0, sockets: 0, accepted: 0 })
  })

  it('is given what ws gives: its verifyClient gets the origin, whether the connection is encrypted, and the request', async () => {
    const verifyClient = vi.fn<(info: object) => boolean>(() => true)
    const { app, wss, cookie, url } = await startWith({ verifyClient })
    await open(url, { cookie, origin: app.url })
    expect(verifyClient.mock.calls).toMatchObject([[{ origin: app.url, secure: false, req: { url: '/own' } }]])
    expect(verifyClient.mock.contexts).toEqual([wss.options])
    expect(wss.options.verifyClient).toBe(verifyClient)
  })

  it('is a fault and a 500 where its verifyClient answers with a promise, which ws would take for a yes', async () => {
    const { app, connected, cookie, url } = await startWith({ verifyClient: vi.fn().mockResolvedValue(false) })
    expect((await refused(url, { cookie })).status).toBe(500)
    expect(app.faults).toMatchObject([{ name: 'TypeError' }])
    expect(connected).not.toHaveBeenCalled()
  })

  it('is asked last: a verifyClient sees no client that the bridge refuses', async () => {
    const verifyClient = vi.fn(() => true)
    const { cookie, url } = await startWith({ verifyClient })
    await refused(url)
    expect(verifyClient).not.toHaveBeenCalled()
    await open(url, { cookie })
    expect(verifyClient).toHaveBeenCalledOnce()
  })

  it('counts for its path: another one is answered 404 before any store call', async () => {
    const { app, cookie, url } = await startWith({ path: '/own/exactly' })
    const get = vi.spyOn(app.store, 'get')
    expect((await refused(url, { cookie })).status).toBe(404)
    expect(get).not.toHaveBeenCalled()
    const client = await open(`${url}/exactly?x`, { cookie })
    expect(client.ws.readyState).toBe(client.ws.OPEN)
  })

  it('chooses the subprotocol', async () => {
    const { cookie, url } = await startWith({ handleProtocols: (protocols) => [...protocols].at(-1) ?? false })
    const client = await open(url, { cookie, protocols: ['a', 'b'] })
    expect(client.ws.protocol).toBe('b')
  })

  it.each([
    ['handleProtocols', { protocols: ['a'] }],
    ['verifyClient', {}],
  ] as const)('is a fault and a 500 where its %s throws, and the place is given back', async (hook, client) => {
    const { app, connected, cookie, url } = await startWith({
      [hook]: () => {
        throw new Error('the hook is broken')
      },
    })
    expect((await refused(url, { cookie, ...client })).status).toBe(500)
    expect(app.faults).toMatchObject([{ message: 'the hook is broken' }])
    expect(app.refusals).toMatchObject([{ reason: 'authorize-failed', status: 500 }])
    expect(connected).not.toHaveBeenCalled()
    expect(app.bridge.stats()).toMatchObject({ pending: 0, sockets: 0, accepted: 0 })
  })

  it('is a fault and a 500 where a listener of its headers throws', async () => {
    const { app, wss, cookie, url } = await startWith({})
    wss.on('headers', () => {
      throw new Error('the listener is broken')
    })
    expect((await refused(url, { cookie })).status).toBe(500)
    expect(app.faults).toMatchObject([{ message: 'the listener is broken' }])
    expect(app.bridge.stats().pending).toBe(0)
  })

  it('is 400 for an extension offer that cannot be read, and the place is given back', async () => {
    const { app, cookie } = await startWith({ perMessageDeflate: true })
    const headers = { 'Sec-WebSocket-Extensions': 'permessage-deflate; =' }
    const answer = await rawRequest(app.port, upgradeRequest({ path: '/own', cookie, headers })).received()
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(app.refusals).toMatchObject([{ reason: 'bad-request', status: 400 }])
    expect(app.bridge.stats().pending).toBe(0)
  })

  it('is 503 once it is closed, and the place is given back', async () => {
    const { app, wss, connected, cookie, url } = await startWith({})
    wss.close()
    expect((await refused(url, { cookie })).status).toBe(503)
    expect(app.refusals).toMatchObject([{ reason: 'shutting-down', status: 503 }])
    expect(connected).not.toHaveBeenCalled()
    expect(app.bridge.stats().pending).toBe(0)
    const other = await open(app.wsUrl, { cookie })
    expect(other.ws.readyState).toBe(other.ws.OPEN)
  })
})

describe('an upgrade that ws refuses and leaves to a listener of its wsClientError', () => {
  /** An app with such a listener, and a client whose offer ws cannot accept. */
  async function startLeft(listener: (socket: Duplex) => void, handshakeTimeoutMs = 200) {
    const started = await startWith({ perMessageDeflate: true }, { handshakeTimeoutMs })
    const { app, wss, cookie } = started
    const left = new Promise<Duplex>((resolve) => {
      wss.on('wsClientError', (_error, socket) => {
        listener(socket)
        resolve(socket)
      })
    })
    const headers = { 'Sec-WebSocket-Extensions': 'permessage-deflate; server_max_window_bits=99' }
    const client = rawRequest(app.port, upgradeRequest({ path: '/own', cookie, headers }), { allowHalfOpen: true })
    return { ...started, client, left: await left }
  }

  it('is answered 400 at the deadline where the listener does not answer, and told once', async () => {
    const { app, client } = await startLeft(() => undefined)
    expect(await client.receivedUntil('\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
    expect(app.refusals).toEqual([{ reason: 'bad-request', status: 400 }])
    expect(app.bridge.stats()).toMatchObject({ pending: 0, accepted: 0, sockets: 0 })
  })

  it('is left alone where the listener answers in time', async () => {
    const { app, client, left } = await startLeft((socket) => setTimeout(() => socket.write('answer '), 20))
    await client.receivedUntil('answer ')
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(left.destroyed).toBe(false)
    left.end('end')
    client.socket.end()
    expect(await client.received()).toBe('answer end')
    expect(app.refusals).toEqual([{ reason: 'bad-request', status: 400 }])
  })

  it('is answered when the bridge closes', async () => {
    const { app, client } = await startLeft(() => undefined, 60_000)
    const closed = app.bridge.close()
    expect(await client.receivedUntil('\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
    client.socket.end()
    await closed
  })

  it('is forgotten when its client leaves', async () => {
    const { client, left } = await startLeft((socket) => socket.resume(), 60_000)
    client.socket.end()
    await expect.poll(() => left.destroyed).toBe(true)
  })
})
