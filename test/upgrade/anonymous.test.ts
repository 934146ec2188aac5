import { once } from 'node:events'
import { MemoryStore } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import type { WebSocket } from 'ws'
import type { Authorize, ConnectionListener, LiveStore, SessionRequest } from 'ws-session-bridge'
import { ExpressStore } from '../../src/store/express-store.js'
import { startApp, type App, type AppOptions } from '../support/app.js'
import { open, refused, type UpgradeOptions } from '../support/client.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'
import { textFrame } from './raw-socket.js'

const anonymous = { anonymous: 'accept' } as const

/** A LiveStore that knows of one session that it is past its expiry, and that the store still has. */
class KnowsBetter extends ExpressStore implements LiveStore {
  override async get(...args: Parameters<ExpressStore['get']>) {
    const stored = await super.get(...args)
    return stored && { record: stored.record, expiresAt: Date.now() - 1 }
  }
}

/** Opens a WebSocket. Resolves to both ends and to all that came with 'connection'. */
async function connectAs(app: App, options?: UpgradeOptions) {
  const connection = once(app.wss, 'connection') as Promise<[WebSocket, SessionRequest, ...unknown[]]>
  const client = await open(app.wsUrl, options)
  const [ws, request, ...rest] = await connection
  return { client, ws, request, rest }
}

interface Stranger {
  who: string
  app?: () => AppOptions
  cookie?: (app: App) => Promise<string> | string
}

const letIn: Stranger[] = [
  { who: 'without a cookie' },
  { who: 'with an empty cookie', cookie: () => 'connect.sid=' },
  { who: 'outside the path of the cookie', app: () => ({ session: { cookie: { path: '/other' } } }) },
  { who: 'with a session that is gone', cookie: (app) => app.bridge.signedCookie('unknown') },
  {
    who: 'with a session that has expired',
    app() {
      const store = new MemoryStore()
      return { store, bridge: { live: new KnowsBetter(store) } }
    },
    cookie: (app) => app.login('ada'),
  },
]

describe("with anonymous: 'accept', a client", () => {
  it.each(letIn)('$who is let in, without a context and without request.session', async ({ app: options, cookie }) => {
    const authorize = vi.fn<Authorize>(() => false)
    const onConnection = vi.fn<ConnectionListener>()
    const given = options?.()
    const app = await startApp({ ...given, bridge: { ...given?.bridge, ...anonymous, authorize }, onConnection })
    const accept = vi.fn()
    app.bridge.on('accept', accept)
    const { ws, request, rest } = await connectAs(app, { cookie: await cookie?.(app) })
    expect(rest).toEqual([undefined])
    expect(onConnection).toHaveBeenCalledExactlyOnceWith(ws, request, undefined)
    expect(accept).toHaveBeenCalledExactlyOnceWith(undefined, ws)
    expect(app.bridge.contextOf(ws)).toBeUndefined()
    for (const name of ['session', 'sessionID', 'sessionStore']) expect(request).not.toHaveProperty(name)
    expect(authorize).not.toHaveBeenCalled()
    expect(app.refusals).toEqual([])
  })

  it('who has a session is a user as ever, and has to be authorized', async () => {
    const app = await startApp({ bridge: { ...anonymous, authorize: ({ role }) => role === 'admin' } })
    const { rest, request } = await connectAs(app, { cookie: await app.login('ada', 'admin') })
    expect(rest).toMatchObject([{ session: { user: 'ada' } }])
    expect(request.session.user).toBe('ada')
    expect((await refused(app.wsUrl, { cookie: await app.login('bob') })).status).toBe(403)
  })

  it('whose session is logged out while authorize is asked about it has no request.session either', async () => {
    const app = await startApp({
      bridge: {
        ...anonymous,
        authorize: async () => {
          await app.call('POST', '/logout', cookie)
          return true
        },
      },
    })
    const cookie = await app.login('ada')
    const { request, rest } = await connectAs(app, { cookie })
    expect(rest).toEqual([undefined])
    for (const name of ['session', 'sessionID', 'sessionStore']) expect(request).not.toHaveProperty(name)
  })

  it('whose session is found to be gone right before the 101 is let in, too', async () => {
    let whenFound: (() => void) | undefined
    class SynchronousStore extends MemoryStore {
      override get(...[sessionID, callback]: Parameters<MemoryStore['get']>): void {
        super.get(sessionID, (error, found) => {
          whenFound?.()
          callback(error, found)
        })
      }

      override destroy(...[sessionID, callback]: Parameters<MemoryStore['destroy']>): void {
        super.destroy(sessionID)
        callback?.()
      }
    }
    const app = await startApp({ store: new SynchronousStore(), bridge: { ...anonymous, authorize: () => true } })
    for (let turns = 0; turns < 24; turns += 1) {
      const cookie = await app.login('ada')
      const sessionID = app.bridge.readSessionID(cookie)!
      whenFound = () => {
        whenFound = undefined
        let turn = Promise.resolve()
        for (let passed = 0; passed < turns; passed += 1) turn = turn.then(() => undefined)
        void turn.then(() => {
          app.store.destroy(sessionID, () => undefined)
        })
      }
      const { client } = await connectAs(app, { cookie })
      client.ws.terminate()
    }
    expect(app.refusals).toEqual([])
  })

  it.each([
    ['unsigned', 'unsigned-cookie', () => 'connect.sid=anything'],
    ['forged', 'bad-signature', (app: App) => `${app.bridge.signedCookie('unknown').slice(0, -3)}xyz`],
  ] as const)('with a cookie that is %s is refused all the same', async (_what, reason, cookie) => {
    const app = await startApp({ bridge: anonymous })
    expect((await refused(app.wsUrl, { cookie: cookie(app) })).status).toBe(401)
    expect(app.refusals).toMatchObject([{ reason }])
  })

  it('of another origin is refused all the same', async () => {
    const app = await startApp({ bridge: anonymous })
    expect((await refused(app.wsUrl, { origin: 'https://evil.test' })).status).toBe(403)
  })

  it('whose session cannot be read is refused, not taken for anonymous', async () => {
    const app = await startApp({ bridge: anonymous })
    const cookie = await app.login('ada')
    app.store.emit('disconnect')
    expect((await refused(app.wsUrl, { cookie })).status).toBe(503)
    expect(app.refusals).toMatchObject([{ reason: 'store-failed' }])
  })

  it('is anonymous for authenticate() as well', async () => {
    const app = await startApp({ bridge: anonymous })
    const { request } = await connectAs(app)
    expect(await app.bridge.authenticate(request)).toEqual({ accepted: true, context: undefined })
  })
})

describe("without anonymous: 'accept', a client", () => {
  it('whose session has expired is refused with 401', async () => {
    const store = new MemoryStore()
    const app = await startApp({ store, bridge: { live: new KnowsBetter(store) } })
    expect((await refused(app.wsUrl, { cookie: await app.login('ada') })).status).toBe(401)
    expect(app.refusals).toMatchObject([{ reason: 'session-expired', status: 401 }])
  })
})

describe('an anonymous socket', () => {
  it('counts as a socket without a session, until it closes', async () => {
    const app = await startApp({ bridge: anonymous })
    const { client } = await connectAs(app)
    await connectAs(app, { cookie: await app.login('ada') })
    expect(app.bridge.stats()).toMatchObject({ pending: 0, sockets: 2, sessions: 1, accepted: 2 })
    expect([...app.bridge.connections()]).toHaveLength(1)
    client.ws.close()
    await client.closed
    await vi.waitUntil(() => app.bridge.stats().sockets === 1, { interval: 2, timeout: 5_000 })
  })

  it('takes no place of a session', async () => {
    const app = await startApp({ bridge: { ...anonymous, maxSocketsPerSession: 1 } })
    const strangers = [await connectAs(app), await connectAs(app)]
    expect(strangers.map(({ client }) => client.ws.readyState)).toEqual([1, 1])
  })

  it('stays when its browser logs in, and when others log out', async () => {
    const app = await startApp({ bridge: anonymous })
    const { client, ws } = await connectAs(app)
    const cookie = await app.login('ada')
    await app.call('POST', '/logout', cookie)
    app.bridge.check()
    ws.send('still here')
    expect(await client.next()).toBe('still here')
  })

  it('is closed by bridge.close() with 1001, and waited for', async () => {
    const app = await startApp({ bridge: anonymous })
    const { client, ws } = await connectAs(app)
    await app.bridge.close()
    expect(ws.readyState).toBe(ws.CLOSED)
    expect(await client.closed).toEqual({ code: 1001, reason: 'shutdown' })
    expect(app.bridge.stats().sockets).toBe(0)
  })

  it('that does not answer the close frame is cut by bridge.close()', async () => {
    const app = await startApp({ bridge: anonymous })
    const client = rawRequest(app.port, upgradeRequest(), { allowHalfOpen: true })
    await client.receivedUntil('\r\n\r\n')
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    try {
      const closed = app.bridge.close()
      await client.receivedUntil('shutdown')
      vi.advanceTimersByTime(1_000)
      await closed
    } finally {
      vi.useRealTimers()
    }
    expect(app.bridge.stats().sockets).toBe(0)
  })

  it('whose listener throws is closed with 1011, no longer gets messages, and is told as a fault', async () => {
    const message = vi.fn()
    const app = await startApp({
      bridge: anonymous,
      onConnection(ws) {
        ws.on('message', message)
        throw new Error('the listener is broken')
      },
    })
    const client = rawRequest(app.port, upgradeRequest() + textFrame('too late'))
    // The close frame: 1011 and its reason.
    await client.receivedUntil('\x88\x0e\x03\xf3disconnected')
    client.socket.end(textFrame('later still'))
    expect(app.faults).toMatchObject([{ message: 'the listener is broken' }])
    await vi.waitUntil(() => app.bridge.stats().sockets === 0, { interval: 2, timeout: 5_000 })
    expect(message).not.toHaveBeenCalled()
  })

  it.each<[string, AppOptions['onConnection']]>([
    ['whose connection listener threw', undefined],
    ['whose connection listener threw after its onConnection rejected', () => Promise.reject(new Error('rejected'))],
  ])('%s is cut by bridge.close() if it does not answer', async (_what, onConnection) => {
    const app = await startApp({ bridge: anonymous, ...(onConnection && { onConnection }) })
    app.wss.on('connection', () => {
      throw new Error('the listener is broken')
    })
    const client = rawRequest(app.port, upgradeRequest(), { allowHalfOpen: true })
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    try {
      await client.receivedUntil('disconnected')
      const closed = app.bridge.close()
      // A grace for its answer, and another one for the 'close' of the socket that was cut.
      await vi.advanceTimersByTimeAsync(2_000)
      await closed
    } finally {
      vi.useRealTimers()
    }
    await vi.waitUntil(() => app.bridge.stats().sockets === 0, { interval: 2, timeout: 5_000 })
  })

  it('survives a bad frame: it closes, and nothing crashes', async () => {
    const app = await startApp({ bridge: anonymous })
    const { client } = await connectAs(app)
    const raw = client.ws as unknown as { _socket: { write(bytes: Buffer): void } }
    raw._socket.write(Buffer.from([0xff, 0xff, 0xff]))
    expect((await client.closed).code).toBe(1002)
  })
})
