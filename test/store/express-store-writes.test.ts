import { MemoryStore, Store, type SessionData } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../src/internal/clock.js'
import { ExpressStore } from '../../src/store/express-store.js'
import { record, rest } from '../live/bound.js'
import { TtlStore } from '../live/ttl-store.js'
import { atEnd } from '../support/at-end.js'
import { createGate, gatedStore } from '../support/gate.js'

function liveOn<S extends Store>(store: S) {
  const live = new ExpressStore(store)
  atEnd(() => live.close())
  return { store, live }
}

/** What the LiveStore reads, which has to be there. */
async function read(live: ExpressStore, sessionID = 'id') {
  const found = await live.get(sessionID)
  if (found === undefined) throw new Error('There is no such session')
  return found
}

describe('get() of an ExpressStore', () => {
  it('resolves to the object that it is given if the session has not changed', async () => {
    const { store, live } = liveOn(new MemoryStore())
    store.set('id', record({ user: 'ada' }, 60_000))
    const first = await read(live)
    expect(await live.get('id', first)).toBe(first)
    store.set('id', record({ user: 'grace' }, 60_000))
    expect(await live.get('id', first)).not.toBe(first)
  })

  it('knows the expiry that a touch of this process gave to the store, although the record keeps the older date', async () => {
    const { store, live } = liveOn(new TtlStore())
    store.set('id', record({}, 10_000))
    expect((await read(live)).expiresAt).toBeUndefined()
    live.watch('id')
    store.touch('id', record({}, 60_000))
    expect((await read(live)).expiresAt).toBeGreaterThan(Date.now() + 59_000)
    live.unwatch('id')
    expect((await read(live)).expiresAt).toBeUndefined()
  })

  it('takes it from the newest of two touches, whichever of them is answered last', async () => {
    const { store, hold } = gatedStore(new TtlStore())
    const { live } = liveOn(store)
    store.set('id', record({}, 10_000))
    live.watch('id')
    const older = hold('touch', 'answer')
    store.touch('id', record({}, 60_000), () => undefined)
    store.touch('id', record({}, 90_000), () => undefined)
    await rest()
    older.open()
    await rest()
    expect((await read(live)).expiresAt).toBeGreaterThan(Date.now() + 80_000)
  })

  it('compares that expiry with the clock of the bridge', async () => {
    const aheadMs = 3_600_000
    const store = new TtlStore()
    const live = new ExpressStore(store, undefined, { ...systemClock, now: () => Date.now() + aheadMs })
    store.set('id', record({}, 10_000))
    live.watch('id')
    store.touch('id', record({}, 60_000))
    expect((await read(live)).expiresAt).toBeUndefined()
    store.touch('id', record({}, 2 * aheadMs))
    expect((await read(live)).expiresAt).toBeGreaterThan(Date.now() + aheadMs)
    await live.close()
  })
})

describe('replace() of an ExpressStore', () => {
  it('writes a real Session with a real Cookie whose maxAge is renewed', async () => {
    const { store, live } = liveOn(new MemoryStore())
    store.set('id', record({ user: 'ada' }, 10_000))
    const set = vi.spyOn(store, 'set')
    const expected = await read(live)
    const result = await live.replace('id', expected, record({ user: 'grace' }, 10_000, -60_000))
    expect(result).toMatchObject({ replaced: { record: { user: 'grace' } } })
    const [, session] = set.mock.calls[0] as unknown as [string, SessionData & { touch: unknown }]
    expect(session.touch).toBeTypeOf('function')
    expect(session.cookie.maxAge).toBeGreaterThan(9_000)
  })

  it('writes nothing over a change that it has not read, and resolves to that change', async () => {
    const { store, live } = liveOn(new MemoryStore())
    store.set('id', record({ user: 'ada' }))
    const expected = await read(live)
    store.set('id', record({ user: 'grace' }))
    const result = await live.replace('id', expected, record({ user: 'ada', role: 'admin' }))
    expect(result).toMatchObject({ changed: { record: { user: 'grace' } } })
    expect((await read(live)).record).toMatchObject({ user: 'grace' })
  })

  it('counts another maxAge as a change, but not another date', async () => {
    const { store, live } = liveOn(new MemoryStore())
    store.set('id', record({}, 60_000))
    const expected = await read(live)
    store.set('id', record({}, 3_600_000))
    expect(await live.replace('id', expected, record({ role: 'admin' }, 60_000))).toHaveProperty('changed')
    store.set('id', record({}, 60_000))
    store.touch('id', record({}, 60_000, 70_000))
    expect(await live.replace('id', expected, record({ role: 'admin' }, 60_000))).toHaveProperty('replaced')
  })

  it('writes nothing if the session no longer exists', async () => {
    const { store, live } = liveOn(new MemoryStore())
    store.set('id', record())
    const expected = await read(live)
    store.destroy('id')
    const set = vi.spyOn(store, 'set')
    expect(await live.replace('id', expected, record({ role: 'admin' }))).toBe('gone')
    expect(set).not.toHaveBeenCalled()
  })

  it.each<[string, (store: Store) => unknown, object | string]>([
    ['a write', (store) => store.set('id', record({ user: 'grace' })), { changed: { record: { user: 'grace' } } }],
    ['a destroy', (store) => store.destroy('id'), 'gone'],
    ['a clear', (store) => store.clear?.(), 'gone'],
    ['a touch', (store) => store.touch?.('id', record({ user: 'ada' })), { replaced: { record: { role: 'admin' } } }],
  ])('notices %s that comes while its own read is on the way', async (_what, act, expected) => {
    const { store, hold } = gatedStore(new MemoryStore())
    const { live } = liveOn(store)
    store.set('id', record({ user: 'ada' }))
    const held = await read(live)
    const gate = hold('get', 'answer')
    const replacing = live.replace('id', held, record({ user: 'ada', role: 'admin' }))
    await gate.arrived
    act(store)
    gate.open()
    const result = await replacing
    if (typeof expected === 'string') expect(result).toBe(expected)
    else expect(result).toMatchObject(expected)
  })

  it('waits for a clear that is in flight, although nothing else was done to the session', async () => {
    const store = new MemoryStore()
    const gate = createGate()
    const clear = store.clear.bind(store)
    vi.spyOn(store, 'clear').mockImplementation((callback) => void gate.wait().then(() => clear(callback)))
    const { live } = liveOn(store)
    store.set('id', record())
    live.watch('id')
    const expected = await read(live)
    store.clear(() => undefined)
    const replacing = live.replace('id', expected, record({ role: 'admin' }))
    await rest(5)
    gate.open()
    expect(await replacing).toBe('gone')
    expect(await live.get('id')).toBeUndefined()
  })

  it('notices a destroy at any microtask between its read and its write', async () => {
    for (let microtasks = 0; microtasks < 25; microtasks += 1) {
      const { store, hold } = gatedStore(new MemoryStore())
      const { live } = liveOn(store)
      store.set('id', record())
      const held = await read(live)
      const gate = hold('get', 'answer')
      const replacing = live.replace('id', held, record({ role: 'admin' }))
      await gate.arrived
      gate.open()
      for (let passed = 0; passed < microtasks; passed += 1) await Promise.resolve()
      store.destroy('id')
      await replacing
      await rest(2)
      expect(await live.get('id')).toBeUndefined()
    }
  })

  it('reports calls for a watched session only, and forgets the session when it is no longer watched', async () => {
    const { store, live } = liveOn(new MemoryStore())
    const reports: unknown[] = []
    live.onChange((sessionID) => reports.push(sessionID))
    store.set('id', record())
    await live.replace('id', await read(live), record({ role: 'admin' }))
    await live.touch('id')
    expect(reports).toEqual([])
    live.watch('id')
    store.destroy('id')
    expect(reports).toEqual(['id'])
    live.unwatch('id')
    store.destroy('id')
    expect(reports).toEqual(['id'])
  })
})

describe('touch() of an ExpressStore', () => {
  it('hands the store a session whose maxAge is renewed', async () => {
    const { store, live } = liveOn(new TtlStore())
    const json = JSON.stringify(record({ user: 'ada' }, 60_000, -3_600_000))
    store.data.set('id', { json, expiresAt: Date.now() + 5_000 })
    expect(await live.touch('id')).toBe('touched')
    expect(store.data.get('id')?.expiresAt).toBeGreaterThan(Date.now() + 59_000)
  })

  it('resolves to gone for a session that does not exist, and creates none', async () => {
    const { store, live } = liveOn(new TtlStore())
    expect(await live.touch('id')).toBe('gone')
    expect(store.data.size).toBe(0)
  })

  it('does not bring a session back that was destroyed while its read was on the way', async () => {
    const { store, hold } = gatedStore(new MemoryStore())
    const { live } = liveOn(store)
    store.set('id', record({}, 60_000))
    const gate = hold('get', 'answer')
    const touching = live.touch('id')
    await gate.arrived
    store.destroy('id')
    gate.open()
    expect(await touching).toBe('gone')
    expect(await live.get('id')).toBeUndefined()
  })
})
