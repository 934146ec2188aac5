// what a session's time does to its sockets.
import type { SessionData } from 'express-session'
import { WebSocket } from 'ws'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { atEnd } from '../support/at-end.js'
import { startTestBridge } from './test-bridge.js'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

describe('the clock of a test bridge', () => {
  it('ends a socket when its session expires, to the millisecond, and waits until it is closed on both sides', async () => {
    const { cookie, upgrade, clock } = await startTestBridge({ session: { cookie: { maxAge: hourMs } } })
    const { ws, context } = await upgrade(cookie({ user: 'Ada' }))

    await clock.advance(hourMs - 1)
    expect(ws.readyState).toBe(WebSocket.OPEN)
    await clock.advance(1)
    expect(context.ended).toEqual({ reason: 'expired', code: 4401 })
    expect(ws.readyState).toBe(WebSocket.CLOSED)
    expect(context.ws?.readyState).toBe(WebSocket.CLOSED)
  })

  // Each time that express-session renews a cookie it may shorten `originalMaxAge` by the milliseconds that pass meanwhile.
  it('ends it a whole maxAge later where the session was changed a while after it began', async () => {
    const { cookie, upgrade, clock, change } = await startTestBridge({ session: { cookie: { maxAge: hourMs } } })
    const signed = cookie({ user: 'Ada' })
    const { context } = await upgrade(signed)
    await clock.advance(30 * minuteMs)
    // A change puts off the expiry, as a request does.
    await change(signed, (draft) => {
      draft.user = 'Grace'
    })
    await clock.advance(hourMs - 1_000)
    expect(context.ended).toBeUndefined()
    await clock.advance(1_000)
    expect(context.ended?.reason).toBe('expired')
  })

  it('ends it a whole maxAge later where a message kept it alive, however slow the machine', async () => {
    const { cookie, upgrade, clock } = await startTestBridge({ session: { cookie: { maxAge: hourMs } } })
    const { ws, next, context } = await upgrade(cookie({ user: 'Ada' }))
    await new Promise((resolve) => setTimeout(resolve, 30))
    ws.send('?')
    await next()
    await clock.advance(hourMs - 5)
    expect(context.ended).toBeUndefined()
    await clock.advance(5)
    expect(context.ended?.reason).toBe('expired')
  })

  it('stands still by itself, so that no session expires on a slow machine', async () => {
    const { cookie, upgrade, clock } = await startTestBridge({ session: { cookie: { maxAge: 20 } } })
    const signed = cookie({ user: 'Ada' })
    const before = clock.now()
    const { next, ws } = await upgrade(signed)
    await new Promise((resolve) => setTimeout(resolve, 60))
    ws.send('?')
    expect(await next()).toBe('You are Ada')
    expect((await upgrade(signed)).refusal).toBeUndefined()
    expect(clock.now()).toBe(before)
  })

  it('moves by as much as it is turned, and leaves the time of all others alone', async () => {
    const { clock } = await startTestBridge()
    const [before, systemBefore] = [clock.now(), Date.now()]
    await clock.advance(dayMs)
    expect(clock.now()).toBe(before + dayMs)
    expect(Date.now() - systemBefore).toBeLessThan(hourMs)
  })

  it('makes a session that has expired unknown', async () => {
    const { cookie, upgrade, clock, store, bridge } = await startTestBridge()
    const short = cookie({ user: 'Ada' }, { maxAge: hourMs })
    const endless = cookie({ user: 'Grace' })
    await clock.advance(hourMs)
    expect((await upgrade(short)).refusal?.reason).toBe('no-session')
    expect((await upgrade(endless)).refusal).toBeUndefined()
    expect(await bridge.load(bridge.readSessionID(short)!)).toBeUndefined()
    const count = await new Promise((resolve) => {
      store.length((_error, length) => resolve(length))
    })
    expect(count).toBe(1)
  })

  it('shows the dates of its own time', async () => {
    const { cookie, clock, bridge } = await startTestBridge()
    await clock.advance(30 * dayMs)
    const sessionID = bridge.readSessionID(cookie({}, { maxAge: hourMs }))!
    const session = await bridge.load(sessionID)
    expect(session?.cookie.expires).toBe(new Date(clock.now() + hourMs).toISOString())
  })

  it('lets messages keep a session alive as long as they come', async () => {
    const { cookie, upgrade, clock } = await startTestBridge({ session: { cookie: { maxAge: hourMs } } })
    const { ws, next, context } = await upgrade(cookie({ user: 'Ada' }))
    for (let times = 0; times < 10; times += 1) {
      await clock.advance(50 * minuteMs)
      ws.send('?')
      await next()
    }
    expect(context.ended).toBeUndefined()
    await clock.advance(hourMs)
    expect(context.ended?.reason).toBe('expired')
  })

  it('lets messages keep nothing alive with keepAlive: never', async () => {
    const options = { session: { cookie: { maxAge: hourMs } }, keepAlive: 'never' as const }
    const { cookie, upgrade, clock } = await startTestBridge(options)
    const { ws, next, closed } = await upgrade(cookie({ user: 'Ada' }))
    await clock.advance(50 * minuteMs)
    ws.send('?')
    await next()
    await clock.advance(50 * minuteMs)
    expect(await closed).toEqual({ code: 4401, reason: 'expired' })
  })

  it('passes a fortnight of being connected, touch by touch', async () => {
    const options = { session: { cookie: { maxAge: hourMs } }, keepAlive: 'connected' as const }
    const { cookie, upgrade, clock, bridge, end } = await startTestBridge(options)
    const signed = cookie({ user: 'Ada' })
    const { context } = await upgrade(signed)
    const before = context.session.cookie.expires!
    await clock.advance(14 * dayMs)
    expect(context.ended).toBeUndefined()
    expect(Date.parse(context.session.cookie.expires!)).toBeGreaterThan(Date.parse(before) + 13 * dayMs)
    await end(signed)
    expect(bridge.stats().ended).toMatchObject({ expired: 0, destroyed: 1 })
  })

  it('ends sockets as unverified when the store has been away for too long', async () => {
    const { cookie, upgrade, clock, store, faults } = await startTestBridge({ revalidateMs: 10_000 })
    const { closed, context } = await upgrade(cookie({ user: 'Ada' }))
    store.emit('disconnect')
    await clock.advance(69_000)
    expect(context.ended).toBeUndefined()
    expect((await upgrade(cookie({ user: 'Ada' }))).status).toBe(503)
    await clock.advance(2_000)
    expect(await closed).toEqual({ code: 1013, reason: 'unverified' })
    store.emit('connect')
    expect((await upgrade(cookie({ user: 'Ada' }))).refusal).toBeUndefined()
    expect(faults).toEqual([])
  })

  it('waits for an authorize that takes its time', async () => {
    let isAllowed = true
    const { cookie, upgrade, clock, change } = await startTestBridge({
      async authorize() {
        await new Promise((resolve) => setTimeout(resolve, 30))
        return isAllowed
      },
    })
    const signed = cookie({ user: 'Ada' })
    const { ws, context } = await upgrade(signed)
    isAllowed = false
    await change(signed, (draft) => {
      draft.role = 'none'
    })
    expect(context.ended?.reason).toBe('forbidden')
    expect(ws.readyState).toBe(WebSocket.CLOSED)
    await clock.advance(0)
  })

  it('closes every socket of many sessions before it is done', async () => {
    const { cookie, upgrade, clock, bridge } = await startTestBridge({ session: { cookie: { maxAge: hourMs } } })
    const shared = cookie({ user: 'Ada' })
    const sockets = await Promise.all(
      Array.from({ length: 250 }, (_, index) => upgrade(index < 150 ? shared : cookie({ user: `user ${index}` }))),
    )
    await clock.advance(hourMs)
    expect(sockets.filter(({ ws }) => ws.readyState !== WebSocket.CLOSED)).toEqual([])
    expect(bridge.stats()).toMatchObject({ sockets: 0, sessions: 0, ended: { expired: 250 } })
  })

  it('is turned once at a time', async () => {
    const { cookie, upgrade, clock } = await startTestBridge({ session: { cookie: { maxAge: hourMs } } })
    const { context } = await upgrade(cookie({ user: 'Ada' }))
    const before = clock.now()
    await Promise.all([clock.advance(hourMs / 2), clock.advance(hourMs / 2)])
    expect(clock.now()).toBe(before + hourMs)
    expect(context.ended?.reason).toBe('expired')
  })

  it.each([-1, NaN, Infinity, 0.5, '1000', undefined])('does not turn by %s', async (ms) => {
    const { clock } = await startTestBridge()
    await expect(clock.advance(ms as number)).rejects.toThrow(TypeError)
  })
})

describe('the clock of a test bridge, while the test runner holds the date,', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'] })
    atEnd(() => vi.useRealTimers())
  })
  const session = { cookie: { maxAge: minuteMs } }

  it("lets keepAlive: 'connected' keep a session", async () => {
    const { cookie, upgrade, clock } = await startTestBridge({ session, keepAlive: 'connected' })
    const { context } = await upgrade(cookie())
    await clock.advance(10 * minuteMs)
    expect(context.ended).toBeUndefined()
  })

  it('lets messages keep a session', async () => {
    const { cookie, upgrade, clock } = await startTestBridge({ session })
    const { ws, next, context } = await upgrade(cookie())
    await clock.advance(minuteMs - 1)
    ws.send('?')
    await next()
    await clock.advance(minuteMs - 1)
    expect(context.ended).toBeUndefined()
    await clock.advance(1)
    expect(context.ended?.reason).toBe('expired')
  })

  it('lets the handshake keep a session with `rolling`', async () => {
    const { cookie, upgrade, clock } = await startTestBridge({ session: { ...session, rolling: true } })
    const signed = cookie()
    await clock.advance(minuteMs - 1)
    const { context } = await upgrade(signed)
    await clock.advance(minuteMs - 1)
    expect(context.ended).toBeUndefined()
    await clock.advance(1)
    expect(context.ended?.reason).toBe('expired')
  })

  it('lets a change keep a session, as a request does', async () => {
    const { cookie, upgrade, clock, change } = await startTestBridge({ session })
    const signed = cookie()
    const { context } = await upgrade(signed)
    await clock.advance(minuteMs - 1)
    await change(signed, (draft) => {
      draft.user = 'Ada'
    })
    await clock.advance(minuteMs - 1)
    expect(context.ended).toBeUndefined()
  })

  it.each(['get', 'load'] as const)(
    'keeps the date of a session that was read by %s and is written back',
    async (read) => {
      const { cookie, upgrade, clock, bridge, store } = await startTestBridge({ session })
      const signed = cookie()
      const { context } = await upgrade(signed)
      const sessionID = bridge.readSessionID(signed)!
      await clock.advance(minuteMs - 1)
      const found = await new Promise<SessionData>((resolve) => {
        store[read](sessionID, (_error: unknown, record?: SessionData | null) => resolve(record!))
      })
      await new Promise((resolve) => {
        store.set(sessionID, Object.assign(found, { user: 'Ada' }), resolve)
      })
      await clock.advance(0)
      expect(context.session.user).toBe('Ada')
      expect(context.ended).toBeUndefined()
      await clock.advance(1)
      expect(context.ended?.reason).toBe('expired')
    },
  )
})

describe('a session from cookie()', () => {
  it('lasts for all of its maxAge, although the system clock moves on while it is made', async () => {
    const { cookie, bridge, clock } = await startTestBridge()
    let now = Date.now()
    vi.spyOn(Date, 'now').mockImplementation(() => (now += 1))
    const ada = cookie({}, { maxAge: 60_000 })
    vi.restoreAllMocks()
    const snapshot = await bridge.load(bridge.readSessionID(ada)!)
    expect(Date.parse(snapshot!.cookie.expires!) - clock.now()).toBe(60_000)
  })
})
