import { once } from 'node:events'
import { MemoryStore, type SessionData } from 'express-session'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import {
  createSessionBridge,
  StoreUnavailableError,
  type LiveStore,
  type RefusalReason,
  type StoredSession,
} from 'ws-session-bridge'
import { record, until } from '../live/bound.js'
import { ByHandLiveStore, stored, type PendingGet } from '../live/by-hand-live-store.js'
import { startApp, type App } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { open, refused } from '../support/client.js'
import { forgedFrom } from '../support/forged-cookie.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'
import { requestWith } from './request.js'
import { statusOf } from './status.js'

describe('handshake, without a session', () => {
  let app: App
  let cookie: string
  beforeAll(async () => {
    app = await startApp()
    cookie = await app.login('ada')
  })

  const cases: [what: string, reason: string, broken: (cookie: string) => string | undefined][] = [
    ['no cookie', 'no-cookie', () => undefined],
    ['an empty Cookie header', 'no-cookie', () => ''],
    ['an empty cookie', 'no-cookie', () => 'connect.sid='],
    ['the cookie of another app', 'no-cookie', () => 'other.sid=s:id.signature'],
    ['an unsigned cookie', 'unsigned-cookie', () => 'connect.sid=id'],
    ['a forged cookie', 'bad-signature', forgedFrom],
    ['an unknown session', 'no-session', () => app.bridge.signedCookie('unknown')],
  ]

  it.each(cases)('refuses %s with 401: %s', async (_what, reason, broken) => {
    const answer = await refused(app.wsUrl, { cookie: broken(cookie) })
    expect(answer.status).toBe(401)
    expect(app.refusals.at(-1)).toEqual({ reason, status: 401 })
  })

  it('refuses a session that was logged out with 401: no-session', async () => {
    const loggedOut = await app.login('bob')
    expect(await statusOf(app, { cookie: loggedOut })).toBe(101)
    await app.call('POST', '/logout', loggedOut)
    expect(await statusOf(app, { cookie: loggedOut })).toBe(401)
    expect(app.refusals.at(-1)).toEqual({ reason: 'no-session', status: 401 })
  })

  it('answers all of them with the same bytes', async () => {
    const answers = await Promise.all(
      cases.map(([, , broken]) => {
        const header = broken(cookie)
        return rawRequest(app.port, upgradeRequest(header === undefined ? {} : { cookie: header })).received()
      }),
    )
    expect(answers[0]).toMatch(/^HTTP\/1\.1 401 Unauthorized\r\n/)
    expect(new Set(answers).size).toBe(1)
  })

  it.each(cases.filter(([, reason]) => reason !== 'no-session'))(
    'asks the store nothing for %s',
    async (_, __, broken) => {
      const get = vi.spyOn(app.store, 'get')
      await refused(app.wsUrl, { cookie: broken(cookie) })
      expect(get).not.toHaveBeenCalled()
    },
  )

  it('counts each by its reason', async () => {
    const before = app.bridge.stats().refused
    await refused(app.wsUrl)
    expect(app.bridge.stats().refused).toEqual({ ...before, 'no-cookie': before['no-cookie'] + 1 })
  })
})

describe('handshake, with a session', () => {
  it('lets it in', async () => {
    const app = await startApp()
    const { ws } = await open(app.wsUrl, { cookie: await app.login('ada') })
    expect(ws.readyState).toBe(ws.OPEN)
    expect(app.refusals).toEqual([])
  })

  it("does not take a record's own cookie.expires for the end: HTTP lets it in as well", async () => {
    const app = await startApp()
    const past = new Date(Date.now() - 60_000).toISOString()
    const record = JSON.parse(`{"cookie":{"originalMaxAge":1000,"expires":"${past}"},"user":"ada"}`) as SessionData
    const cookie = app.bridge.signedCookie('id')
    vi.spyOn(app.store, 'get').mockImplementation((_sessionID, callback) => {
      callback(null, structuredClone(record))
    })
    expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({ user: 'ada' })
    expect(await statusOf(app, { cookie })).toBe(101)
  })
})

/* What no store says today; a LiveStore may. */
describe('handshake, on a LiveStore of its own', () => {
  function verdictOf(get: () => Promise<StoredSession>) {
    const live = new ReadOnlyLiveStore(get)
    const bridge = createSessionBridge({ session: { store: new MemoryStore(), secret: 'a secret' }, live })
    atEnd(() => bridge.close())
    return bridge.authenticate(requestWith({ cookie: bridge.signedCookie('id') }))
  }

  it('refuses a session whose time, its store says, has passed: session-expired', async () => {
    const until = (expiresAt: number | undefined) => () =>
      Promise.resolve({ record: { cookie: { originalMaxAge: null } }, expiresAt })
    const expired = { accepted: false, refusal: { reason: 'session-expired', status: 401 } }
    expect(await verdictOf(until(Date.now()))).toEqual(expired)
    expect(await verdictOf(until(Date.now() + 60_000))).toMatchObject({ accepted: true })
    expect(await verdictOf(until(undefined))).toMatchObject({ accepted: true })
  })

  it.each<[string, (cause: Error) => Promise<never>]>([
    ['rejects', (cause) => Promise.reject(cause)],
    [
      'throws',
      (cause) => {
        throw cause
      },
    ],
  ])("keeps the store's own error out of sight, as a cause, when it %s", async (_what, failing) => {
    const cause = new Error('GET id failed')
    const error = new StoreUnavailableError(undefined, { cause })
    expect(await verdictOf(() => failing(cause))).toEqual({
      accepted: false,
      refusal: { reason: 'store-failed', status: 503, error },
    })
  })
})

class ReadOnlyLiveStore implements LiveStore {
  readonly get: () => Promise<StoredSession>
  readonly replace = () => Promise.reject(new Error('Read only.'))
  readonly touch = () => Promise.resolve('touched' as const)
  readonly destroy = () => Promise.resolve()
  readonly watch = () => undefined
  readonly unwatch = () => undefined
  readonly onChange = () => undefined
  readonly close = () => Promise.resolve()

  constructor(get: () => Promise<StoredSession>) {
    this.get = get
  }
}

describe('handshake, maxSocketsPerSession', () => {
  it('refuses one more with 429, before a question to the store', async () => {
    const app = await startApp({ bridge: { maxSocketsPerSession: 2 } })
    const cookie = await app.login('ada')
    await open(app.wsUrl, { cookie })
    await open(app.wsUrl, { cookie })
    const get = vi.spyOn(app.store, 'get')
    expect(await statusOf(app, { cookie })).toBe(429)
    expect(app.refusals).toEqual([{ reason: 'too-many-sockets', status: 429 }])
    expect(get).not.toHaveBeenCalled()
    expect(await statusOf(app, { cookie: await app.login('bob') })).toBe(101)
  })

  it('gives the place back when a socket has closed', async () => {
    const app = await startApp({ bridge: { maxSocketsPerSession: 1 } })
    const cookie = await app.login('ada')
    const { ws } = await open(app.wsUrl, { cookie })
    expect(await statusOf(app, { cookie })).toBe(429)
    const ended = once(app.bridge, 'end')
    ws.close()
    await ended
    expect(await statusOf(app, { cookie })).toBe(101)
  })

  it('is looked at by authenticate(), which takes no place itself', async () => {
    const app = await startApp({ bridge: { maxSocketsPerSession: 1 } })
    const cookie = await app.login('ada')
    expect(await app.bridge.authenticate(requestWith({ cookie }))).toMatchObject({ accepted: true })
    expect(await app.bridge.authenticate(requestWith({ cookie }))).toMatchObject({ accepted: true })
    await open(app.wsUrl, { cookie })
    expect(await app.bridge.authenticate(requestWith({ cookie }))).toMatchObject({
      accepted: false,
      refusal: { reason: 'too-many-sockets', status: 429 },
    })
  })
})

describe('a refusal that comes after the session was watched', () => {
  it.each<[string, RefusalReason, (get: PendingGet) => void]>([
    ['is not in the store', 'no-session', (get) => get.answer(undefined)],
    ['has expired', 'session-expired', (get) => get.answer(stored(record(), 1))],
    ['cannot be read', 'store-failed', (get) => get.fail(new Error('down'))],
    ['is not permitted', 'forbidden', (get) => get.answer(stored(record()))],
  ])('lets go of it: it %s', async (_what, reason, settle) => {
    const live = new ByHandLiveStore()
    const app = await startApp({ bridge: { live, authorize: () => false } })
    const refusal = refused(app.wsUrl, { cookie: app.bridge.signedCookie('id') })
    await until(() => live.gets.length === 1)
    expect([...live.watched]).toEqual([['id', 1]])
    settle(live.gets[0]!)
    await refusal
    expect(app.refusals).toMatchObject([{ reason }])
    await until(() => live.watched.size === 0)
  })
})
