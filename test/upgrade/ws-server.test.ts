import { describe, expect, it, vi } from 'vitest'
import { WebSocketServer, type ServerOptions } from 'ws'
import { startApp } from '../support/app.js'
import { open, refused } from '../support/client.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'

/** An app with a ws server of these options at /own, and a login. */
async function startWith(options: ServerOptions) {
  const app = await startApp({ bridge: { maxPending: 1 } })
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
