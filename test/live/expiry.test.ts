import { MemoryStore } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import type { Authorize } from 'ws-session-bridge'
import { startApp } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { refused } from '../support/client.js'
import { createGate, gatedStore } from '../support/gate.js'
import { done, PlainConnection, record, rest, startBridge, stopClocks, until } from './bound.js'
import { bindFound, ByHandLiveStore, stored } from './by-hand-live-store.js'
import { connect, sessionIDOf } from './connected.js'
import { watchTimers } from './open-timers.js'
import { TtlStore } from './ttl-store.js'

const failure = new Error('away')

describe('a date that another process has written', () => {
  it('counts, although this process has put the expiry off before', async () => {
    const pass = stopClocks()
    const store = new MemoryStore()
    const app = await startApp({ store, session: { cookie: { maxAge: 600_000 } }, bridge: { revalidateMs: 1_000_000 } })
    const cookie = await app.login('ada')
    const { client, context } = await connect(app, cookie)
    await pass(1_000)
    await app.call('GET', '/me', cookie)
    const { sessions } = store as unknown as { readonly sessions: Record<string, string> }
    const elsewhere = JSON.parse(sessions[context.sessionID]!) as { cookie: { expires: string } }
    elsewhere.cookie.expires = new Date(Date.now() + 60_000).toISOString()
    sessions[context.sessionID] = JSON.stringify(elsewhere)
    await context.refresh()
    expect(context.session.cookie.expires).toBe(elsewhere.cookie.expires)
    await pass(60_000)
    expect(await client.closed).toEqual({ code: 4401, reason: 'expired' })
  })

  it('does not count where it is only the one that a touch has left in the record', async () => {
    const pass = stopClocks()
    const { store, bind, bridge } = startBridge({ store: new TtlStore(), revalidateMs: 1_000_000 })
    store.set('id', record({ views: 1 }, 60_000))
    const { context } = await bind('id')
    await done((callback) => store.set('id', record({ views: 2 }, 60_000), callback))
    await pass(30_000)
    await done((callback) => store.touch!('id', record({}, 60_000), callback))
    const putOff = context.session.cookie.expires
    for (let reads = 0; reads < 3; reads += 1) {
      bridge.check('id')
      await rest()
      expect(context.session.cookie.expires).toBe(putOff)
    }
    await pass(59_000)
    expect(context.ended).toBeUndefined()
  })
})

describe('a session that nothing keeps alive', () => {
  it('closes its sockets with 4401 on time, as expired', async () => {
    const pass = stopClocks()
    const app = await startApp({ session: { cookie: { maxAge: 60_000 } } })
    const { client, context } = await connect(app, await app.login('ada'))
    await pass(59_999)
    expect(context.ended).toBeUndefined()
    await pass(1)
    expect(await client.closed).toEqual({ code: 4401, reason: 'expired' })
    expect(context.ended).toEqual({ reason: 'expired', code: 4401 })
    expect(app.bridge.stats()).toMatchObject({ sockets: 0, sessions: 0, ended: { expired: 1 } })
  })

  it('lives for as long as HTTP keeps touching it', async () => {
    const pass = stopClocks()
    const app = await startApp({ session: { cookie: { maxAge: 60_000 } } })
    const cookie = await app.login('ada')
    const { client, context } = await connect(app, cookie)
    for (let round = 0; round < 10; round += 1) {
      await pass(45_000)
      expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({ user: 'ada' })
    }
    await pass(59_999)
    expect(context.ended).toBeUndefined()
    await pass(1)
    expect((await client.closed).code).toBe(4401)
  })

  it('is not put off by a touch that the store has answered with an error', async () => {
    const pass = stopClocks()
    const store = new TtlStore()
    const touch = (_id: string, _session: unknown, callback: (error: unknown) => void) =>
      setImmediate(callback, failure)
    Object.assign(store, { touch })
    const { bind } = startBridge({ store, revalidateMs: 1_000_000 })
    store.set('id', record({}, 60_000))
    const { context } = await bind('id')
    const failed = done((callback) => store.touch('id', record({}, 600_000), callback))
    await expect(failed).rejects.toBe(failure)
    await pass(61_000)
    expect(context.ended).toEqual({ reason: 'expired', code: 4401 })
  })

  it('closes its sockets on a clock that runs, too', async () => {
    const app = await startApp({ session: { cookie: { maxAge: 3_000 } } })
    const { client, context } = await connect(app, await app.login('ada'))
    const expires = Date.parse(context.session.cookie.expires!)
    expect(await client.closed).toEqual({ code: 4401, reason: 'expired' })
    expect(Date.now()).toBeGreaterThanOrEqual(expires)
  })
})

describe('the time to look at a session', () => {
  it('is its expiry, to the millisecond, and needs no call before', async () => {
    const pass = stopClocks()
    const { store, bind } = startBridge({ revalidateMs: 1_000_000 })
    store.set('id', record({}, 60_000))
    const { context, connection } = await bind('id')
    await rest()
    const get = vi.spyOn(store, 'get')
    await pass(59_999)
    expect(get).not.toHaveBeenCalled()
    await pass(1)
    expect(context.ended).toEqual({ reason: 'expired', code: 4401 })
    expect(connection.closings).toEqual([{ code: 4401, reason: 'expired' }])
    expect(get).toHaveBeenCalledTimes(1)
  })

  it('moves with every touch that is heard', async () => {
    const pass = stopClocks()
    const { store, bind } = startBridge({ revalidateMs: 1_000_000 })
    store.set('id', record({}, 60_000))
    const { context } = await bind('id')
    for (let minutes = 0; minutes < 10; minutes += 1) {
      await pass(45_000)
      store.touch?.('id', record({}, 60_000))
      await rest()
    }
    expect(context.ended).toBeUndefined()
    await pass(59_999)
    expect(context.ended).toBeUndefined()
    await pass(1)
    expect(context.ended?.reason).toBe('expired')
  })

  it('comes once for a touch that was not heard, and then with the new expiry', async () => {
    const pass = stopClocks()
    const data = new Map<string, { json: string; expiresAt: number }>()
    const { store, bind } = startBridge({ store: new TtlStore(data), revalidateMs: 30_000 })
    store.set('id', record({}, 60_000))
    const { context } = await bind('id')
    await pass(50_000)
    new TtlStore(data).set('id', record({}, 60_000))
    await pass(59_000)
    expect(context.ended).toBeUndefined()
    await pass(1_000)
    expect(context.ended?.reason).toBe('expired')
  })

  it('says nothing by itself: a record with a stale date is a live session where the store still has it', async () => {
    const pass = stopClocks()
    const data = new Map<string, { json: string; expiresAt: number }>()
    const { store, bind } = startBridge({ store: new TtlStore(data), revalidateMs: 30_000, keepAlive: 'never' })
    store.set('id', record({}, 60_000))
    const { context } = await bind('id')
    // Another process touches: the key's expiry moves, the record's date does not.
    const other = new TtlStore(data)
    const get = vi.fn(store.get)
    Object.assign(store, { get })
    for (let round = 0; round < 6; round += 1) {
      await pass(45_000)
      other.touch('id', record({}, 60_000))
    }
    // Every 30 seconds by revalidation, and around the date of the record, which is looked at no more once it is old.
    expect(get.mock.calls.length).toBeLessThanOrEqual(9 + 3)
    expect(JSON.parse(data.get('id')!.json)).toMatchObject({ cookie: { expires: context.session.cookie.expires } })
    expect(Date.parse(context.session.cookie.expires!)).toBeLessThan(Date.now())
    expect(context.ended).toBeUndefined()
    // It ends when the store has it no more, and revalidation finds that out.
    await pass(60_000 + 30_000)
    expect(context.ended?.reason).toBe('expired')
  })

  it('follows the touches of this process where the record’s date stays behind', async () => {
    const pass = stopClocks()
    const { store, bind } = startBridge({ store: new TtlStore(), revalidateMs: 1_000_000 })
    store.set('id', record({}, 60_000))
    const { context } = await bind('id')
    for (let round = 0; round < 6; round += 1) {
      await pass(45_000)
      store.touch?.('id', record({}, 60_000))
      await rest()
    }
    expect(context.ended).toBeUndefined()
    await pass(60_000)
    expect(context.ended?.reason).toBe('expired')
  })

  it('comes again within two seconds for a store that keeps time in whole ones', async () => {
    const pass = stopClocks()
    const store = new TtlStore()
    const set = store.set.bind(store)
    Object.assign(store, {
      set(...[sessionID, session, callback]: Parameters<TtlStore['set']>) {
        set(sessionID, session, callback)
        const kept = store.data.get(sessionID)
        // As connect-redis hands it to EXPIRE.
        if (kept !== undefined) kept.expiresAt = Date.now() + Math.ceil((kept.expiresAt - Date.now()) / 1_000) * 1_000
      },
    })
    const { bind } = startBridge({ store, revalidateMs: 1_000_000 })
    store.set('id', record({}, 60_300))
    const { context } = await bind('id')
    await rest()
    const get = vi.spyOn(store, 'get')
    await pass(60_800, 100)
    expect(context.ended).toBeUndefined()
    expect(get).toHaveBeenCalledTimes(1)
    await pass(1_000, 100)
    expect(context.ended?.reason).toBe('expired')
    expect(get).toHaveBeenCalledTimes(2)
  })

  it('is none for a session that does not expire', async () => {
    const pass = stopClocks()
    const { store, bind } = startBridge({ revalidateMs: 2 ** 31 - 1 })
    store.set('id', record())
    const { context } = await bind('id')
    await rest()
    const get = vi.spyOn(store, 'get')
    await pass(3_600_000 * 24, 3_600_000)
    expect(context.ended).toBeUndefined()
    expect(get).not.toHaveBeenCalled()
  })

  it('is none for a session whose last socket has closed while authorize was asked about it', async () => {
    const pass = stopClocks()
    const gate = createGate()
    // A request comes with the handshake alone.
    const authorize = vi.fn<Authorize>((_session, request) => request !== undefined || gate.wait().then(() => true))
    const { bridge, store, bind } = startBridge({ authorize })
    store.set('id', record({ role: 'admin' }, 3_600_000))
    const { connection } = await bind('id')
    await rest()
    store.set('id', record({ role: 'guest' }, 3_600_000))
    await rest()
    expect(authorize).toHaveBeenCalledTimes(2)
    connection.disappear()
    gate.open()
    await rest()
    // The timer that is armed already sleeps for half a minute, and finds nothing to wait for.
    await pass(30_000)
    expect(bridge.stats()).toMatchObject({ sockets: 0, sessions: 0 })
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('all timers together', () => {
  it('are as many for a thousand sessions as for one', async () => {
    const { bridge, store, bind } = startBridge()
    const timers = watchTimers()
    const counts: number[] = []
    for (let index = 0; index < 1_000; index += 1) {
      store.set(`id ${index}`, record({}, 60_000 + ((index * 7919) % 1_000)))
      await bind(`id ${index}`)
      if (index === 0 || index === 999) {
        await rest()
        counts.push(timers.count)
      }
    }
    expect(bridge.stats()).toMatchObject({ sockets: 1_000, sessions: 1_000 })
    // Expiry, revalidation, the deadline of store calls, that of handshakes.
    expect(counts[0]).toBeLessThanOrEqual(4)
    expect(counts[1]).toBeLessThanOrEqual(4)
    await bridge.close()
    await rest()
    expect(timers.count).toBe(0)
  })

  it('hold no process open', async () => {
    const timers = watchTimers()
    const { store, bind } = startBridge({ store: new MemoryStore() })
    for (let index = 0; index < 10; index += 1) {
      store.set(`id ${index}`, record({}, 60_000))
      await bind(`id ${index}`)
    }
    expect(timers.count).toBeGreaterThan(0)
    expect(timers.referenced).toBe(0)
  })
})

describe('an expiry that passes between a read and its use', () => {
  it('ends no session that the store then still has', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    atEnd(() => vi.useRealTimers())
    const live = new ByHandLiveStore()
    const { bridge, bind } = startBridge({ live })
    const { context } = await bindFound({ bind }, live, stored(record()))
    bridge.check('id')
    const expiresAt = Date.now() + 1
    vi.setSystemTime(expiresAt + 1)
    live.gets.shift()?.answer(stored(record(), expiresAt))
    await rest()
    expect(context.ended).toBeUndefined()
  })

  /* With `rolling`, the session was brought back by the touch of what had been read before. */
  it('during a handshake refuses it, and leaves the session as it is', async () => {
    for (const rolling of [false, true]) {
      for (const lateMs of [1, 2_000]) {
        const pass = stopClocks()
        const gate = createGate()
        const store = new TtlStore()
        const app = await startApp({
          store,
          session: { cookie: { maxAge: 2_000 }, rolling },
          bridge: { authorize: () => gate.wait().then(() => true), revalidateMs: 1_000_000 },
        })
        const opening = refused(app.wsUrl, { cookie: await app.login('ada') })
        await gate.arrived
        await pass(2_000 + lateMs)
        gate.open()
        expect((await opening).status).toBe(401)
        await rest()
        expect(store.data.size).toBe(0)
        vi.useRealTimers()
      }
    }
  })

  it.each([
    ['was read', 1],
    ['was read by two handshakes, of which one waits for authorize', 2],
  ])(
    'before a touch of it came, and after it %s, refuses the handshake that has read it',
    async (_when, handshakes) => {
      const pass = stopClocks()
      const gate = createGate()
      const { store, hold } = gatedStore(new TtlStore())
      const app = await startApp({
        store,
        session: { cookie: { maxAge: 2_000 } },
        bridge: { authorize: () => gate.wait().then(() => true), revalidateMs: 1_000_000 },
      })
      const cookie = await app.login('ada')
      const openings = [refused(app.wsUrl, { cookie })]
      if (handshakes === 2) await gate.arrived
      const answer = hold('get', 'answer')
      if (handshakes === 2) openings.push(refused(app.wsUrl, { cookie }))
      await answer.arrived
      await pass(2_000)
      // To which the store says nothing, although it has the session no longer.
      await done((callback) => store.touch(sessionIDOf(app, cookie), record({}, 600_000), callback))
      answer.open()
      gate.open()
      for (const opening of openings) expect((await opening).status).toBe(401)
    },
  )

  it('while the store answers slowly, after a clock was set, closes the socket all the same', async () => {
    const pass = stopClocks()
    const { store, hold } = gatedStore(new TtlStore())
    const { bind } = startBridge({ store, revalidateMs: 1_000_000 })
    store.set('id', record({}, 3_600_000))
    const { context } = await bind('id')
    await rest()
    // A second is left when that is found out.
    vi.setSystemTime(Date.now() + 3_600_000 - 31_000)
    const gate = hold('get', 'answer')
    await pass(30_000)
    await gate.arrived
    await pass(4_000)
    expect(context.ended).toBeUndefined()
    gate.open()
    await rest()
    await pass(1_000)
    expect(context.ended).toEqual({ reason: 'expired', code: 4401 })
  })

  it('while authorize is asked of a change closes the socket all the same', async () => {
    const pass = stopClocks()
    const live = new ByHandLiveStore()
    const gate = createGate()
    const { bind } = startBridge({
      live,
      revalidateMs: 1_000_000,
      authorize: (_session, request) => request !== undefined || gate.wait().then(() => true),
    })
    const found = stored(record(), Date.now() + 600_000)
    const { context } = await bindFound({ bind }, live, found)
    live.report('id')
    live.gets.shift()?.answer(stored(record({ role: 'admin' }), Date.now() + 2_000))
    await gate.arrived
    await pass(2_000)
    live.gets.shift()?.answer(undefined)
    await rest()
    expect(context.ended).toEqual({ reason: 'expired', code: 4401 })
    gate.open()
  })

  /* The write knew nothing of a touch, and what it brought back was taken for an expiry that has passed. */
  it('while an update() is on its way ends no socket before the store was asked', async () => {
    const pass = stopClocks()
    const live = new ByHandLiveStore()
    const { bind } = startBridge({ live, revalidateMs: 1_000_000 })
    const found = stored(record(), Date.now() + 2_000)
    const { context } = await bindFound({ bind }, live, found)
    const gate = createGate()
    live.replaced = ({ expiresAt }, { record: next }) => gate.wait().then(() => ({ replaced: stored(next, expiresAt) }))
    const update = context.update((draft) => {
      draft.role = 'admin'
    })
    await gate.arrived
    await pass(1_500)
    live.report('id')
    live.gets.shift()?.answer(stored(found.record, Date.now() + 60_000))
    await rest()
    await pass(1_500)
    gate.open()
    expect(await update).toMatchObject({ role: 'admin' })
    expect(context.ended).toBeUndefined()
    await pass(1)
    live.gets.shift()?.answer(undefined)
    await rest()
    expect(context.ended).toBeDefined()
  })

  it('is for the store to say: a handshake loads again, and load() finds what the store had', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    atEnd(() => vi.useRealTimers())
    const live = new ByHandLiveStore()
    const { bridge, authenticate } = startBridge({ live })
    const authenticated = authenticate('id')
    const loaded = bridge.load('id')
    await until(() => live.gets.length === 2)
    const expiresAt = Date.now() + 1
    vi.setSystemTime(expiresAt + 1)
    for (const get of live.gets.splice(0)) get.answer(stored(record({ user: 'ada' }), expiresAt))
    expect((await loaded)?.user).toBe('ada')
    await until(() => live.gets.length === 1)
    live.gets.shift()?.answer(stored(record({ user: 'ada' }), expiresAt + 60_000))
    expect((await authenticated).session.user).toBe('ada')
  })

  it('refuses a handshake whose store says nothing else, or whose every answer comes too late', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    atEnd(() => vi.useRealTimers())
    const live = new ByHandLiveStore()
    const { authenticate } = startBridge({ live })
    for (const isPutOff of [false, true]) {
      const refused = expect(authenticate('id')).rejects.toThrow('session-expired')
      let expiresAt = Date.now() + 1
      for (let loads = 1; loads <= (isPutOff ? 4 : 2); loads += 1) {
        await until(() => live.gets.length === 1)
        vi.setSystemTime(expiresAt + 1)
        live.gets.shift()?.answer(stored(record(), expiresAt))
        if (isPutOff) expiresAt = Date.now() + 1
      }
      await refused
      expect(live.gets).toEqual([])
    }
  })

  it('leaves alone a session that the store has for much longer than its date says', async () => {
    const pass = stopClocks()
    const { store, bind } = startBridge({ revalidateMs: 1_000_000 })
    const get = vi.spyOn(store, 'get')
    get.mockImplementation((_sessionID, callback) => {
      setImmediate(callback, null, record({}, 60_000, -5_000))
    })
    const { context } = await bind('id')
    await rest()
    const reads = get.mock.calls.length
    await pass(60_000)
    expect(context.ended).toBeUndefined()
    expect(get.mock.calls.length - reads).toBeLessThanOrEqual(1)
  })
})

/*
 * A timer knows nothing of the time of day. It was armed for as long as it was to the expiry, which an hour of sleep of the machine, or
 * NTP, makes wrong: sessions outlived their end until the next revalidation, and after a step back even the touches that keep a
 * session alive waited for the old time to come again.
 */
describe('a clock that is set', () => {
  it('forward ends what has expired by it, within half a minute', async () => {
    const pass = stopClocks()
    const { store, bind } = startBridge({ store: new TtlStore(), revalidateMs: 1_000_000 })
    store.set('id', record({}, 3_600_000))
    const { context } = await bind('id')
    await rest()
    vi.setSystemTime(Date.now() + 3_600_001)
    await pass(30_000)
    expect(context.ended).toEqual({ reason: 'expired', code: 4401 })
  })

  it('back does not stop the touches', async () => {
    const pass = stopClocks()
    const { store, bind } = startBridge({ revalidateMs: 1_000_000, keepAlive: 'connected' })
    store.set('id', record({}, 300_000))
    const { context } = await bind('id')
    await pass(10_000)
    vi.setSystemTime(Date.now() - 3_600_000)
    const touch = vi.spyOn(store, 'touch')
    await pass(50_000)
    expect(touch).toHaveBeenCalledTimes(1)
    expect(context.ended).toBeUndefined()
  })

  it('back does not put off the end of a socket whose store is away', async () => {
    const pass = stopClocks()
    const { bridge, store, bind } = startBridge({ revalidateMs: 1_000_000, unverifiedMs: 5_000 })
    store.set('id', record())
    const { context } = await bind('id')
    store.get = (_sessionID, callback) => {
      callback(new Error('away'))
    }
    bridge.check('id')
    await rest()
    vi.setSystemTime(Date.now() - 3_600_000)
    await pass(6_000, 500)
    expect(context.ended?.reason).toBe('unverified')
  })

  it('back during a read ends no session that the store then says is there', async () => {
    stopClocks()
    const live = new ByHandLiveStore()
    const { bridge, authenticate } = startBridge({ live })
    const authenticated = authenticate('id')
    await until(() => live.gets.length === 1)
    live.gets[0]!.answer(stored(record(), Date.now() + 60_000))
    const context = await authenticated
    const connection = new PlainConnection()
    bridge.bind(context, connection)
    await until(() => live.gets.length === 2)
    vi.setSystemTime(Date.now() - 3_600_000)
    live.gets[1]!.answer(stored(record(), Date.now() + 60_000))
    await rest()
    expect(context.ended).toBeUndefined()
  })
})
