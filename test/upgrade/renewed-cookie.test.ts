import { createSecretKey, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { connect as connectTLS } from 'node:tls'
import { sign } from 'cookie-signature'
import { Cookie, MemoryStore } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import { startApp, type App, type AppOptions } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { rawRequest, upgradeRequest, type UpgradeRequestOptions } from '../support/raw-request.js'
import { answerTo, recordOf } from './server-side.js'

const rolling = { session: { rolling: true } }

/** An app, and what is asked of its store. */
async function startWatched(options?: AppOptions) {
  const store = new MemoryStore()
  const app = await startApp({ ...options, store })
  return { app, get: vi.spyOn(store, 'get'), touch: vi.spyOn(store, 'touch') }
}

/** A session in the store with a cookie of these attributes. Resolves to the Cookie header that comes with it. */
async function seed(app: App, attributes: object = {}, sessionID = 'id'): Promise<string> {
  const cookie = Object.assign(new Cookie(), attributes)
  await answerTo((callback) => {
    app.store.set(sessionID, { cookie, user: 'ada' }, callback)
  })
  return app.bridge.signedCookie(sessionID)
}

/** The head of the answer to an upgrade. */
function headFor({ port }: App, request: UpgradeRequestOptions): Promise<string> {
  return rawRequest(port, upgradeRequest(request)).receivedUntil('\r\n\r\n')
}

function cookiesIn(head: string): string[] {
  return [...head.matchAll(/^Set-Cookie: (.*)$/gim)].map(([, value = '']) => value.trim())
}

/** The cookies that come with the 101 of an upgrade. */
async function cookiesFor(app: App, request: UpgradeRequestOptions): Promise<string[]> {
  const head = await headFor(app, request)
  expect(head).toMatch(/^HTTP\/1\.1 101 /)
  return cookiesIn(head)
}

const withoutExpiry = (cookie: string) => cookie.replace(/Expires=[^;]*/, 'Expires=…')
const expiryIn = (cookie: string) => Date.parse(/Expires=([^;]*)/.exec(cookie)?.[1] ?? '')

describe('with rolling, a 101', () => {
  it.each<{ attributes: object }>([
    { attributes: {} },
    { attributes: { maxAge: 60_000 } },
    { attributes: { maxAge: 60_000, path: '/ws', domain: 'app.test', httpOnly: false } },
    { attributes: { sameSite: 'lax', priority: 'high' } },
    { attributes: { sameSite: true, partitioned: true, priority: 'low' } },
    { attributes: { sameSite: 'none', path: '' } },
    { attributes: { encode: 'no attribute at all', comment: 'neither' } },
  ])('brings the cookie that an HTTP answer of express-session brings: $attributes', async ({ attributes }) => {
    const app = await startApp(rolling)
    const cookie = await seed(app, attributes)
    const [overHTTP] = (await app.call('GET', '/me', cookie)).headers.getSetCookie()
    const cookies = await cookiesFor(app, { cookie })
    expect(cookies.map(withoutExpiry)).toEqual([withoutExpiry(overHTTP ?? 'none')])
    expect(app.faults).toEqual([])
  })

  it('moves the expiry of the cookie, and that in the store along with it', async () => {
    const { app, touch } = await startWatched(rolling)
    const cookie = await seed(app, { maxAge: 60_000, originalMaxAge: 3_600_000 })
    const before = Date.now()
    const [renewed = ''] = await cookiesFor(app, { cookie })
    expect(expiryIn(renewed)).toBeGreaterThan(before + 3_590_000)
    await vi.waitUntil(() => touch.mock.calls.length > 0, { interval: 2, timeout: 5_000 })
    expect(touch).toHaveBeenCalledOnce()
    const record = (await recordOf(app, 'id')) as { cookie: { expires: string } }
    expect(Date.parse(record.cookie.expires)).toBeGreaterThan(before + 3_590_000)
  })

  it('asks the store for one read and one touch, at the same time as the 101', async () => {
    const { app, get, touch } = await startWatched(rolling)
    await cookiesFor(app, { cookie: await seed(app, { maxAge: 60_000 }) })
    expect(touch).toHaveBeenCalledOnce()
    expect(get).toHaveBeenCalledOnce()
  })

  it('brings the attributes of the record, not those that the options have by now', async () => {
    const cookie = vi.fn(() => ({ path: '/', domain: 'later.test', maxAge: 60_000 }))
    const app = await startApp({ session: { rolling: true, cookie } })
    const pair = await seed(app, { sameSite: 'lax' })
    expect(await cookiesFor(app, { cookie: pair })).toEqual([`${pair}; Path=/; HttpOnly; SameSite=Lax`])
  })

  it('gives each socket its own cookie, though their handshakes overlap', async () => {
    const app = await startApp(rolling)
    const ids = ['a', 'b', 'c', 'd']
    const headers = await Promise.all(ids.map((id) => seed(app, {}, id)))
    const cookies = await Promise.all(headers.map((cookie) => cookiesFor(app, { cookie })))
    expect(cookies).toEqual(headers.map((cookie) => [`${cookie}; Path=/; HttpOnly`]))
  })

  it('leaves the user’s own listeners of the headers alone, and their cookies', async () => {
    const app = await startApp(rolling)
    const heard: string[][] = []
    app.wss.on('headers', (headers) => {
      heard.push([...headers])
      headers.push('Set-Cookie: theme=dark')
    })
    const listeners = app.wss.rawListeners('headers')
    const cookie = await seed(app)
    expect(await cookiesFor(app, { cookie })).toEqual(['theme=dark', `${cookie}; Path=/; HttpOnly`])
    expect(await cookiesFor(app, { cookie })).toHaveLength(2)
    expect(heard).toHaveLength(2)
    expect(app.wss.rawListeners('headers')).toEqual(listeners)
  })

  it('leaves no listener behind where a listener of the user’s own throws', async () => {
    const app = await startApp(rolling)
    const cookie = await seed(app)
    app.wss.once('headers', () => {
      throw new Error('the listener is broken')
    })
    expect(await headFor(app, { cookie })).toMatch(/^HTTP\/1\.1 500 /)
    expect(app.wss.listenerCount('headers')).toBe(0)
    expect(await cookiesFor(app, { cookie })).toHaveLength(1)
  })
})

describe('without rolling, a 101', () => {
  it('brings no cookie, and touches nothing, if the first secret had signed', async () => {
    const { app, get } = await startWatched({ session: { secret: ['new', 'old'] } })
    const cookie = await seed(app, { maxAge: 60_000 })
    expect(await cookiesFor(app, { cookie })).toEqual([])
    expect(get).toHaveBeenCalledOnce()
  })

  it.each([
    ['strings', 'new', 'old'],
    ['Buffers', randomBytes(32), randomBytes(32)],
    ['KeyObjects', createSecretKey(randomBytes(32)), createSecretKey(randomBytes(32))],
  ])('brings a cookie signed by the first secret if the second had signed: %s', async (_kind, first, second) => {
    const app = await startApp({ session: { secret: [first, second], key: 'sid' } })
    await seed(app, { maxAge: 60_000 })
    const outdated = `sid=${encodeURIComponent(`s:${sign('id', second)}`)}`
    const [renewed = '', ...others] = await cookiesFor(app, { cookie: outdated })
    expect(others).toEqual([])
    expect(withoutExpiry(renewed)).toBe(`${app.bridge.signedCookie('id')}; Path=/; Expires=…; HttpOnly`)
    expect(expiryIn(renewed)).toBeGreaterThan(Date.now() + 50_000)

    const onlyTheFirst = await startApp({ store: app.store, session: { secret: first, key: 'sid' } })
    const { status } = await onlyTheFirst.call('GET', '/me', outdated)
    expect(status).toBe(200)
    expect(await (await onlyTheFirst.call('GET', '/me', renewed.split(';')[0])).json()).toEqual({ user: 'ada' })
    expect(await (await onlyTheFirst.call('GET', '/me', outdated)).json()).toEqual({})
  })

  it('brings a cookie signed by a secret that was put in front while the app runs', async () => {
    const secret = ['old']
    const app = await startApp({ session: { secret } })
    const outdated = await seed(app)
    secret.unshift('new')
    const [renewed = ''] = await cookiesFor(app, { cookie: outdated })
    expect(renewed).toBe(`connect.sid=${encodeURIComponent(`s:${sign('id', 'new')}`)}; Path=/; HttpOnly`)
  })
})

describe('a secure cookie', () => {
  const viaProxy = (proto: string) => ({ headers: { 'X-Forwarded-Proto': proto } })

  it.each<{ what: string; app: AppOptions; request: UpgradeRequestOptions }>([
    { what: 'plain http', app: rolling, request: {} },
    { what: 'a proxy that is not trusted', app: rolling, request: viaProxy('https') },
    { what: 'proxy: false', app: { session: { rolling: true, proxy: false } }, request: viaProxy('https') },
    {
      what: 'a trusted proxy that says http',
      app: { session: { rolling: true, proxy: true } },
      request: viaProxy('http'),
    },
    {
      what: 'a trusted proxy behind one that says http',
      app: { session: { rolling: true, proxy: true } },
      request: viaProxy('http, https'),
    },
    { what: 'a trusted proxy that says nothing', app: { session: { rolling: true, proxy: true } }, request: {} },
  ])('is not sent over $what, and the store is not touched', async ({ app: options, request }) => {
    const { app, get } = await startWatched(options)
    const cookie = await seed(app, { secure: true, maxAge: 60_000 })
    expect(await cookiesFor(app, { ...request, cookie })).toEqual([])
    expect(get).toHaveBeenCalledOnce()
  })

  it.each<{ what: string; app: AppOptions; proto: string }>([
    { what: 'proxy: true', app: { session: { rolling: true, proxy: true } }, proto: 'https' },
    { what: 'trustProxy: true', app: { ...rolling, bridge: { trustProxy: true } }, proto: 'https' },
    { what: 'a proxy that says wss of an upgrade', app: { session: { rolling: true, proxy: true } }, proto: 'wss' },
    {
      what: 'several proxies, the first of which says WSS',
      app: { session: { rolling: true, proxy: true } },
      proto: 'WSS, http',
    },
    { what: 'several proxies', app: { session: { rolling: true, proxy: true } }, proto: 'HTTPS, http' },
  ])('is sent with $what where X-Forwarded-Proto says https', async ({ app: options, proto }) => {
    const app = await startApp(options)
    const cookie = await seed(app, { secure: true })
    expect(await cookiesFor(app, { cookie, ...viaProxy(proto) })).toEqual([`${cookie}; Path=/; HttpOnly; Secure`])
  })

  it('is sent on https', async () => {
    const app = await startApp(rolling)
    const cookie = await seed(app, { secure: true })
    const head = await headOverTLS(app, upgradeRequest({ cookie }))
    expect(cookiesIn(head)).toEqual([`${cookie}; Path=/; HttpOnly; Secure`])
  })
})

/* A key that both sides know in advance (RFC 4279): a real TLS socket, and no certificate to keep. */
async function headOverTLS({ bridge, wss }: App, request: string): Promise<string> {
  const psk = randomBytes(32)
  const encryption = { ciphers: 'PSK', maxVersion: 'TLSv1.2' } as const
  const server = createServer({ ...encryption, pskCallback: () => psk })
  bridge.attach(server, wss, { path: '/ws' })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const socket = connectTLS({
    ...{ port, host: '127.0.0.1', ...encryption },
    pskCallback: () => ({ psk, identity: 'test' }),
    checkServerIdentity: () => undefined,
  })
  atEnd(() => {
    socket.destroy()
    server.close()
  })
  socket.write(request)
  const [head] = (await once(socket, 'data')) as [Buffer]
  return head.toString('latin1')
}

describe('no cookie', () => {
  it('comes with a refusal', async () => {
    const { app, get } = await startWatched({ ...rolling, bridge: { authorize: () => false } })
    const cookie = await seed(app, { maxAge: 60_000 })
    const head = await headFor(app, { cookie })
    expect(head).toMatch(/^HTTP\/1\.1 403 /)
    expect(cookiesIn(head)).toEqual([])
    expect(get).toHaveBeenCalledOnce()
  })

  it('comes with the 101 of a refusal by close code', async () => {
    const app = await startApp({ ...rolling, bridge: { authorize: () => false, refuseWith: 'close' } })
    expect(await cookiesFor(app, { cookie: await seed(app) })).toEqual([])
  })

  it('comes where the ws server itself refuses', async () => {
    const { app, get } = await startWatched({ ...rolling, wss: { verifyClient: () => false } })
    const cookie = await seed(app, { maxAge: 60_000 })
    expect(cookiesIn(await headFor(app, { cookie }))).toEqual([])
    expect(get).toHaveBeenCalledOnce()
  })

  it('comes to an anonymous client', async () => {
    const app = await startApp({ ...rolling, bridge: { anonymous: 'accept' } })
    expect(await cookiesFor(app, { cookie: app.bridge.signedCookie('unknown') })).toEqual([])
  })

  it.each([
    { domain: 'a.test; Secure' },
    { path: '/\r\nX-Injected: 1' },
    { sameSite: 'sometimes' },
    { priority: 'top' },
  ])('can be made of the record’s %o: that is a fault, and the socket opens all the same', async (attribute) => {
    const app = await startApp(rolling)
    const cookie = await seed(app, attribute)
    const head = await headFor(app, { cookie })
    expect(head).toMatch(/^HTTP\/1\.1 101 /)
    expect(head).not.toMatch(/Set-Cookie|Injected/)
    expect(app.faults).toEqual([expect.any(TypeError)])
    expect(app.bridge.stats()).toMatchObject({ sockets: 1, faults: 1 })
  })
})
