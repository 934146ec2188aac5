import { EventEmitter, once } from 'node:events'
import type { Socket } from 'node:net'
import session, { MemoryStore } from 'express-session'
import { Server, type ServerOptions, type Socket as IoSocket } from 'socket.io'
import { describe, expect, it, vi } from 'vitest'
import { attachSocketIO } from 'ws-session-bridge/socket.io'
import { startApp } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { createGate, gatedStore } from '../support/gate.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'
import { open, RefusedError } from '../support/client.js'
import { rest, until } from '../live/bound.js'
import {
  clientOf,
  connected,
  connectTo,
  disconnected,
  openByPolling,
  poll,
  receive,
  refused,
  startIo,
  transports,
  type IoApp,
} from './io-app.js'

type EngineSocket = IoSocket['conn']
type AllowRequest = NonNullable<ServerOptions['allowRequest']>

function slow() {
  const gate = createGate()
  const allowRequest: AllowRequest = (_request, answer) => {
    void gate.wait().then(() => answer(null, true))
  }
  return { gate, allowRequest }
}

const websocketRequest = ({ port }: IoApp, cookie: string) =>
  upgradeRequest({ path: '/socket.io/?EIO=4&transport=websocket', host: `127.0.0.1:${port}`, cookie })

const forge = (app: IoApp) => `${app.bridge.signedCookie('unknown').slice(0, -3)}xyz`

describe.each(transports)('by %s, a client', (_name, ways) => {
  it('is let in with its session', async () => {
    const app = await startIo()
    const { socket } = await connectTo(app, { transports: ways, cookie: await app.login('ada') })
    expect(socket.data.context.session.user).toBe('ada')
    expect(app.bridge.stats()).toMatchObject({ sockets: 1, sessions: 1, accepted: 1 })
  })

  it.each([
    ['no cookie', 'no-cookie', () => undefined],
    ['a forged cookie', 'bad-signature', forge],
    ['an unsigned cookie', 'unsigned-cookie', () => 'connect.sid=abc'],
    ['the cookie of a session that is gone', 'no-session', (app: IoApp) => app.bridge.signedCookie('unknown')],
  ])('is refused with %s, and no namespace hears of it', async (_what, reason, cookieFor) => {
    const app = await startIo()
    const heard = vi.fn()
    app.io.on('connection', heard)
    app.io.use((_socket, next) => {
      heard()
      next()
    })
    await refused(clientOf(app, { transports: ways, cookie: cookieFor(app) }))
    expect(app.refusals).toMatchObject([{ reason, status: 401 }])
    expect(heard).not.toHaveBeenCalled()
    expect(app.io.engine.clientsCount).toBe(0)
    expect(app.bridge.stats()).toMatchObject({ sockets: 0, pending: 0, accepted: 0 })
  })

  it('is refused from a page that may not connect, before the store is asked', async () => {
    const store = new MemoryStore()
    const app = await startIo({ store })
    const cookie = await app.login('ada')
    const get = vi.spyOn(store, 'get')
    await refused(clientOf(app, { transports: ways, cookie, origin: 'https://evil.example' }))
    expect(app.refusals).toMatchObject([{ reason: 'origin-denied' }])
    expect(get).not.toHaveBeenCalled()
  })
})

describe('a refusal', () => {
  it('is the same bytes for every 401, by polling', async () => {
    const app = await startIo()
    const answers = await Promise.all(
      [undefined, forge(app), app.bridge.signedCookie('unknown'), 'connect.sid=abc'].map(async (cookie) => {
        const { status, body } = await poll(app, '', { headers: cookie === undefined ? {} : { cookie } })
        return { status, body }
      }),
    )
    expect(answers).toEqual(Array(4).fill({ status: 403, body: '{"code":4,"message":"Unauthorized"}' }))
  })

  it('is the same bytes for every 401, by websocket', async () => {
    const app = await startIo()
    const url = `${app.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`
    for (const cookie of [undefined, forge(app), app.bridge.signedCookie('unknown')]) {
      const error = await open(url, { cookie }).catch((thrown: unknown) => thrown)
      expect((error as RefusedError).answer).toMatchObject({ status: 400, body: 'Unauthorized' })
    }
  })

  it('tells a polling client by its text whether to log in or to try again later', async () => {
    const store = new MemoryStore()
    const app = await startIo({ store })
    const error = await refused(clientOf(app, { transports: ['polling'] }))
    expect(error).toMatchObject({ message: 'xhr poll error', description: 403 })
    expect(error.body).toBe('{"code":4,"message":"Unauthorized"}')
    const cookie = await app.login('ada')
    vi.spyOn(store, 'get').mockImplementation((_id, callback) => callback(new Error('away')))
    const later = await refused(clientOf(app, { transports: ['polling'], cookie }))
    expect(later.body).toBe('{"code":4,"message":"Service Unavailable"}')
    expect(app.refusals.at(-1)).toMatchObject({ reason: 'store-failed', status: 503 })
  })

  it("is told by Engine.IO's connection_error, too, without a session ID", async () => {
    const app = await startIo()
    const told = once(app.io.engine, 'connection_error') as Promise<
      [{ code: number; message: string; context: object }]
    >
    await poll(app, '', { headers: { cookie: app.bridge.signedCookie('unknown') } })
    const [{ code, message, context }] = await told
    expect({ code, message, context }).toEqual({ code: 4, message: 'Forbidden', context: { message: 'Unauthorized' } })
  })

  it('comes with what CORS needs for a page to read it, and a preflight is answered without a session', async () => {
    const origin = 'https://app.example'
    const app = await startIo({ bridge: { origins: [origin] } }, { cors: { origin, credentials: true } })
    const preflight = await poll(app, '', {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'GET' },
    })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-origin')).toBe(origin)
    expect(app.refusals).toEqual([])
    const { status, headers } = await poll(app, '', { headers: { origin } })
    expect(status).toBe(403)
    expect(headers.get('access-control-allow-origin')).toBe(origin)
    expect(app.refusals).toMatchObject([{ reason: 'no-cookie' }])
  })

  it("is not undone by Socket.IO's own cors option: `origins` has to name the page as well", async () => {
    const origin = 'https://app.example'
    const app = await startIo({}, { cors: { origin, credentials: true } })
    await refused(clientOf(app, { transports: ['polling'], cookie: await app.login('ada'), origin }))
    expect(app.refusals).toMatchObject([{ reason: 'origin-denied' }])
  })

  it('comes for maxSocketsPerSession, maxPending and a closed bridge', async () => {
    const gated = gatedStore(new MemoryStore())
    const app = await startIo({ store: gated.store, bridge: { maxSocketsPerSession: 1, maxPending: 1 } })
    const cookie = await app.login('ada')
    await connectTo(app, { cookie })
    await refused(clientOf(app, { cookie }))
    expect(app.refusals.splice(0)).toMatchObject([{ reason: 'too-many-sockets', status: 429 }])

    const gate = gated.hold('get')
    const other = await app.login('grace')
    const first = clientOf(app, { cookie: other })
    await gate.arrived
    await refused(clientOf(app, { cookie: other }))
    expect(app.refusals.splice(0)).toMatchObject([{ reason: 'too-many-pending', status: 503 }])
    gate.open()
    await connected(first)

    await app.bridge.close()
    await refused(clientOf(app, { cookie: other }))
    expect(app.refusals).toMatchObject([{ reason: 'shutting-down', status: 503 }])
  })

  it('refuses one of two that come at once where there is a place for one, and Socket.IO keeps nothing of it', async () => {
    const gated = gatedStore(new MemoryStore())
    const app = await startIo({ store: gated.store, bridge: { maxSocketsPerSession: 1 } })
    const cookie = await app.login('ada')
    const conns: EngineSocket[] = []
    app.io.engine.on('connection', (conn: EngineSocket) => conns.push(conn))
    const gate = gated.hold('get')
    const first = clientOf(app, { cookie })
    await gate.arrived
    // The handshake under way has the place.
    await refused(clientOf(app, { cookie }))
    expect(app.refusals).toMatchObject([{ reason: 'too-many-sockets', status: 429 }])
    gate.open()
    await connected(first)
    await until(() => app.io.engine.clientsCount === 1)
    expect(app.bridge.stats().sockets).toBe(1)
    // Socket.IO waits for nothing more of the one that is closed.
    expect(conns.map((conn) => [conn.readyState, conn.listenerCount('data')])).toEqual([['open', 1]])
  })

  it('is for a client that left while the session was loaded, whose reset does no harm', async () => {
    const gated = gatedStore(new MemoryStore())
    const app = await startIo({ store: gated.store })
    const cookie = await app.login('ada')
    const gate = gated.hold('get')
    const { socket } = rawRequest(app.port, websocketRequest(app, cookie))
    await gate.arrived
    socket.resetAndDestroy()
    await until(() => app.refusals.length > 0)
    gate.open()
    await rest()
    expect(app.refusals).toMatchObject([{ reason: 'client-gone', status: 0 }])
    expect(app.bridge.stats()).toMatchObject({ pending: 0, sockets: 0 })
  })
})

describe("the user's own allowRequest", () => {
  it('is asked after the bridge, finds request.session, and its no counts', async () => {
    const allowRequest = vi.fn<AllowRequest>((request, answer) => {
      const { session } = request as unknown as { session: { user?: string } }
      answer('not you', session.user === 'ada')
    })
    const app = await startIo({}, { allowRequest })
    await connectTo(app, { cookie: await app.login('ada') })
    const error = await refused(clientOf(app, { cookie: await app.login('grace'), transports: ['polling'] }))
    expect(error.body).toBe('{"code":4,"message":"not you"}')
    expect(allowRequest).toHaveBeenCalledTimes(2)
    await refused(clientOf(app, {}))
    expect(allowRequest).toHaveBeenCalledTimes(2)
    expect(app.bridge.stats().sockets).toBe(1)
  })

  it('may take its time, in which a reset does no harm', async () => {
    const { gate, allowRequest } = slow()
    const app = await startIo({}, { allowRequest })
    const cookie = await app.login('ada')
    const raw = once(app.server, 'connection') as Promise<[Socket]>
    const { socket } = rawRequest(app.port, websocketRequest(app, cookie))
    const [, [serverSide]] = await Promise.all([gate.arrived, raw])
    // No `once` of node:events: it would listen for the 'error' itself.
    const gone = new Promise((resolve) => serverSide.once('close', resolve))
    socket.resetAndDestroy()
    await gone
    gate.open()
    await rest()
    expect(app.bridge.stats().sockets).toBe(0)
    expect(app.io.engine.clientsCount).toBe(0)
  })

  it('may take its time, in which a logout is not missed', async () => {
    const { gate, allowRequest } = slow()
    const app = await startIo({}, { allowRequest })
    const cookie = await app.login('ada')
    const ended = once(app.bridge, 'end')
    const client = clientOf(app, { cookie })
    await gate.arrived
    await app.call('POST', '/logout', cookie)
    gate.open()
    const [, end] = (await ended) as unknown[]
    expect(end).toEqual({ reason: 'destroyed', code: 4401 })
    await until(() => app.io.engine.clientsCount === 0)
    expect(client.connected).toBe(false)
  })

  it.each<[string, AllowRequest]>([
    [
      'throws',
      () => {
        throw new Error('broken')
      },
    ],
    ['rejects', async () => Promise.reject(new Error('broken'))],
  ])('refuses where it %s, and the bridge tells of the fault', async (_how, allowRequest) => {
    const app = await startIo({}, { allowRequest })
    await refused(clientOf(app, { cookie: await app.login('ada') }))
    expect(app.faults).toMatchObject([{ message: 'broken' }])
    expect(app.bridge.stats().sockets).toBe(0)
  })
})

describe("anonymous: 'accept'", () => {
  it.each(transports)('lets in who has no session, without a context, by %s', async (_name, ways) => {
    const app = await startIo({ bridge: { anonymous: 'accept' } })
    const accepted = vi.fn()
    app.bridge.on('accept', accepted)
    const { client, socket } = await connectTo(app, { transports: ways })
    expect(socket.data).toHaveProperty('context', undefined)
    expect(accepted.mock.calls).toEqual([[undefined, undefined]])
    expect(app.bridge.stats()).toMatchObject({ sockets: 1, sessions: 0 })
    const gone = once(socket, 'disconnect')
    client.disconnect()
    await gone
    await until(() => app.bridge.stats().sockets === 0)
  })

  it('refuses a forged cookie all the same', async () => {
    const app = await startIo({ bridge: { anonymous: 'accept' } })
    await refused(clientOf(app, { cookie: forge(app) }))
    expect(app.refusals).toMatchObject([{ reason: 'bad-signature' }])
  })

  it('ends with the bridge, and nothing is heard of it from then on', async () => {
    const app = await startIo({ bridge: { anonymous: 'accept' } })
    const { client, socket } = await connectTo(app, {})
    const heard = vi.fn()
    socket.on('late', heard)
    const gone = disconnected(client)
    const closed = app.bridge.close()
    receive(socket, { type: 2, data: ['late'] })
    await closed
    expect(await gone).toBe('transport close')
    await rest()
    expect(heard).not.toHaveBeenCalled()
    expect(app.bridge.stats().sockets).toBe(0)
  })
})

describe('a connection that is opened while the bridge closes', () => {
  it.each([
    ['with a session', 'refuse'],
    ['without one', 'accept'],
  ] as const)('is closed at once, %s', async (_what, anonymous) => {
    const { gate, allowRequest } = slow()
    const app = await startIo({ bridge: { anonymous } }, { allowRequest })
    const client = clientOf(app, { cookie: anonymous === 'refuse' ? await app.login('ada') : undefined })
    await gate.arrived
    const gone = new Promise((resolve) => client.io.engine.once('close', resolve))
    await app.bridge.close()
    gate.open()
    await gone
    await until(() => app.io.engine.clientsCount === 0)
    await until(() => app.bridge.stats().sockets === 0)
    expect(client.connected).toBe(false)
    expect(app.bridge.stats().accepted).toBe(0)
  })
})

describe("a later request with Engine.IO's own session ID", () => {
  it.each([
    ['no cookie', 'no-cookie', async () => undefined],
    ['a forged cookie', 'bad-signature', async (app: IoApp) => forge(app)],
    ["another session's cookie", 'forbidden', async (app: IoApp) => app.login('mallory')],
  ])('and %s neither reads nor sends nor takes the connection over', async (_what, reason, cookieFor) => {
    const app = await startIo()
    const sid = await openByPolling(app, await app.login('ada'))
    const cookie = await cookieFor(app)
    const headers = cookie === undefined ? {} : { cookie }
    expect((await poll(app, `&sid=${sid}`, { headers })).status).toBe(400)
    expect((await poll(app, `&sid=${sid}`, { headers, method: 'POST', body: '40' })).status).toBe(400)
    const url = `${app.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket&sid=${sid}`
    expect(await open(url, { cookie }).catch((error: unknown) => error)).toBeInstanceOf(RefusedError)
    expect(app.refusals.map((refusal) => refusal.reason)).toEqual([reason, reason, reason])
    expect(app.io.sockets.sockets.size).toBe(0)
    expect(app.bridge.stats().sockets).toBe(1)
  })

  it('goes on for the session that it belongs to', async () => {
    const app = await startIo()
    const cookie = await app.login('ada')
    const sid = await openByPolling(app, cookie)
    const headers = { cookie }
    expect(await poll(app, `&sid=${sid}`, { headers, method: 'POST', body: '40' })).toMatchObject({ body: 'ok' })
    expect((await poll(app, `&sid=${sid}`, { headers })).body).toMatch(/^40\{"sid"/)
    expect(app.refusals).toEqual([])
  })

  it('needs no cookie where the connection is anonymous', async () => {
    const app = await startIo({ bridge: { anonymous: 'accept' } })
    const sid = await openByPolling(app)
    expect(await poll(app, `&sid=${sid}`, { method: 'POST', body: '40' })).toMatchObject({ body: 'ok' })
  })
})

describe('a connection that comes past allowRequest', () => {
  it('is closed where allowRequest was replaced, and the bridge tells of the fault', async () => {
    const app = await startIo()
    app.io.engine.opts.allowRequest = (_request, answer) => answer(null, true)
    const heard = vi.fn()
    app.io.on('connection', heard)
    const client = clientOf(app)
    await once(client.io.engine as never, 'close')
    await until(() => app.io.engine.clientsCount === 0)
    expect(heard).not.toHaveBeenCalled()
    expect(app.faults).toMatchObject([{ message: expect.stringContaining('allowRequest') as unknown }])
  })
})

describe('WebTransport', () => {
  it('is turned away, since it sends no cookie', async () => {
    const app = await startIo()
    const close = vi.fn()
    // Older engines do not turn it away by themselves where there are middlewares.
    Object.assign(app.io.engine, { middlewares: [] })
    await app.io.engine.onWebTransportSession({ close })
    expect(close).toHaveBeenCalledTimes(1)
  })

  it('is turned away as well where the engine lets it through', async () => {
    const app = await startIo()
    const conn = Object.assign(new EventEmitter(), { request: null, close: vi.fn() })
    app.io.engine.listeners('connection')[0]?.(conn)
    await rest(1)
    expect(conn.close).toHaveBeenCalledWith(true)
    expect(app.faults).toHaveLength(1)
  })
})

describe('the cookie', () => {
  it('can be read by its name in the handshake, and is not in what adapters and logs take from it', async () => {
    const app = await startIo()
    const cookie = await app.login('ada')
    const { socket } = await connectTo(app, { cookie })
    expect(socket.handshake.headers.cookie).toBe(cookie)
    const id = app.bridge.readSessionID(cookie)!
    expect(JSON.stringify(socket.handshake)).not.toContain(id)
    expect(JSON.stringify({ ...socket.handshake.headers })).not.toContain(id)
  })

  it.each([
    ['polling', '', {}],
    ['polling, beside a cookie of Engine.IO', 'io=', { cookie: true }],
  ])('is renewed with rolling, by %s', async (_name, other, options) => {
    const store = new MemoryStore()
    const app = await startIo({ store, session: { rolling: true, cookie: { maxAge: 60_000 } } }, options)
    const touch = vi.spyOn(store, 'touch')
    const cookie = await app.login('ada')
    const { headers } = await poll(app, '', { headers: { cookie } })
    const cookies = headers.getSetCookie()
    expect(cookies.at(-1)).toContain(cookie)
    expect(cookies.length).toBe(other === '' ? 1 : 2)
    expect(cookies[0]).toContain(other)
    await until(() => touch.mock.calls.length > 0)
  })

  it('is renewed with rolling on the 101, beside one that the app sets', async () => {
    const app = await startIo({ session: { rolling: true, cookie: { maxAge: 60_000 } } })
    const cookie = await app.login('ada')
    app.io.engine.prependListener('initial_headers', (headers: Record<string, string>) => {
      headers['Set-Cookie'] = 'other=1'
    })
    const url = `${app.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`
    const { ws } = await openWithHeaders(url, cookie)
    expect(ws).toEqual([expect.stringContaining('other=1'), expect.stringContaining(cookie)])
  })
})

async function openWithHeaders(url: string, cookie: string): Promise<{ ws: string[] | undefined }> {
  const { WebSocket } = await import('ws')
  const ws = new WebSocket(url, { headers: { cookie } })
  const [response] = (await once(ws, 'upgrade')) as [{ headers: { 'set-cookie'?: string[] } }]
  ws.terminate()
  return { ws: response.headers['set-cookie'] }
}

describe('middlewares of the engine', () => {
  const sessionOf = (request: unknown) => (request as { session?: { user?: string } }).session?.user

  it('find request.session of the connection on every request, polls included, although they were there first', async () => {
    const seen: unknown[] = []
    const app = await startApp()
    const io = new Server(app.server)
    atEnd(() => io.engine.close())
    io.engine.use((request: unknown, _response: unknown, next: () => void) => {
      seen.push(sessionOf(request))
      next()
    })
    attachSocketIO(app.bridge, io)
    const cookie = await app.login('ada')
    const sid = await openByPolling(app, cookie)
    await poll(app, `&sid=${sid}`, { headers: { cookie }, method: 'POST', body: '40' })
    await poll(app, `&sid=${sid}`, { headers: { cookie } })
    expect(seen).toEqual(['ada', 'ada', 'ada'])
  })

  it('do not see a refused request, whose answer stays the same', async () => {
    const app = await startIo()
    const heard = vi.fn()
    app.io.engine.use((_request: unknown, _response: unknown, next: (error: Error) => void) => {
      heard()
      next(new Error('Login sessions require session support.'))
    })
    expect(await poll(app, '')).toMatchObject({ status: 403, body: '{"code":4,"message":"Unauthorized"}' })
    expect(app.refusals).toMatchObject([{ reason: 'no-cookie' }])
    expect(heard).not.toHaveBeenCalled()
  })

  it('of express-session save no session that was logged out, with resave', async () => {
    const app = await startApp({ session: { resave: true } })
    const io = new Server(app.server)
    atEnd(() => io.engine.close())
    io.engine.use(session(app.sessionOptions))
    attachSocketIO(app.bridge, io)
    const cookie = await app.login('ada')
    const sid = await openByPolling(app, cookie)
    await poll(app, `&sid=${sid}`, { headers: { cookie }, method: 'POST', body: '40' })
    await poll(app, `&sid=${sid}`, { headers: { cookie } })
    const waiting = poll(app, `&sid=${sid}`, { headers: { cookie } })
    await app.call('POST', '/logout', cookie)
    await waiting
    await rest()
    expect(await app.bridge.load(app.bridge.readSessionID(cookie)!)).toBeUndefined()
  })
})
