import { MemoryStore, type SessionData, type Store } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import { StoreUnavailableError } from 'ws-session-bridge'
import { ExpressStore } from '../../src/store/express-store.js'
import { done, record, rest, startBridge, stopClocks } from '../live/bound.js'
import { TtlStore } from '../live/ttl-store.js'
import { atEnd } from '../support/at-end.js'
import { gatedStore, type Gate } from '../support/gate.js'
import { DocumentStore, ReadingTouchStore, withoutTouch } from './database-stores.js'

function liveOn<S extends Store>(store: S, timeoutMs?: number) {
  const live = new ExpressStore(store, timeoutMs)
  atEnd(() => live.close())
  return { store, live }
}

const admin = (): SessionData => record({ user: 'ada', role: 'admin' })

/** The result of a touch whose call of the store is held while the session is logged out. */
async function touchedDuringLogout(store: Store, gate: Gate, touch: () => Promise<unknown>) {
  const touching = touch()
  await gate.arrived
  await done((callback) => store.destroy('id', callback))
  gate.open()
  return await touching
}

describe('a logout while a touch is on its way', () => {
  it('is not undone by a store whose touch reads the session and writes it back', async () => {
    for (let turns = 0; turns < 16; turns += 1) {
      const { store, live } = liveOn(new ReadingTouchStore())
      store.data.set('id', record({}, 60_000))
      const touching = live.touch('id')
      await rest(turns)
      await done((callback) => store.destroy('id', callback))
      await touching
      await rest()
      expect(store.data.size).toBe(0)
    }
  })

  it('makes the touch answer that the session is gone', async () => {
    const { store, hold } = gatedStore(new DocumentStore())
    const { live } = liveOn(store)
    store.data.set('id', record({}, 60_000))
    expect(await touchedDuringLogout(store, hold('touch'), () => live.touch('id'))).toBe('gone')
    expect(await live.get('id')).toBeUndefined()
  })

  it('is not undone by a store without touch, where the session is written', async () => {
    const { store, hold } = gatedStore(withoutTouch(new DocumentStore()))
    const { live } = liveOn(store)
    store.data.set('id', record({}, 60_000))
    expect(await touchedDuringLogout(store, hold('set'), () => live.touch('id'))).toBe('gone')
    expect(store.data.size).toBe(0)
  })
})

describe('a touch of what a handshake has just read', () => {
  function watchedOn<S extends Store>(store: S) {
    const { live } = liveOn(store)
    live.watch('id')
    return { store, live, get: vi.spyOn(store as Store, 'get') }
  }

  it('reads nothing again, and hands the store its own record, Dates included', async () => {
    const { store, live, get } = watchedOn(new DocumentStore())
    const touch = vi.spyOn(store as Store, 'touch')
    const since = new Date()
    store.data.set('id', record({ since }, 60_000))
    const held = await live.getToTouch('id')
    expect(await live.touchHeld('id')).toBe('touched')
    expect(held).toBeDefined()
    expect(get).toHaveBeenCalledOnce()
    expect(touch.mock.calls[0]?.[1]).toMatchObject({ since })
  })

  it('reads again where it is the second one: the first has used up what was read', async () => {
    const { store, live, get } = watchedOn(new DocumentStore())
    store.data.set('id', record({}, 60_000))
    await live.getToTouch('id')
    await live.touchHeld('id')
    await live.touchHeld('id')
    expect(get).toHaveBeenCalledTimes(2)
  })

  it('reads again where this process has written since', async () => {
    const { store, live } = watchedOn(new DocumentStore())
    const touch = vi.spyOn(store as Store, 'touch')
    store.data.set('id', record({ role: 'admin' }, 60_000))
    await live.getToTouch('id')
    await done((callback) => store.set('id', record({ role: 'guest' }, 60_000), callback))
    await live.touchHeld('id')
    expect(touch.mock.calls[0]?.[1]).toMatchObject({ role: 'guest' })
  })

  it('brings no session back that was logged out since, in a store whose touch writes back what it is given', async () => {
    for (const isUnderWay of [true, false]) {
      const { store, live } = watchedOn(withoutTouch(new DocumentStore()))
      store.data.set('id', record({}, 60_000))
      await live.getToTouch('id')
      const loggedOut = done((callback) => store.destroy('id', callback))
      if (!isUnderWay) await loggedOut
      expect(await live.touchHeld('id')).toBe('gone')
      await loggedOut
      expect(store.data.size).toBe(0)
    }
  })

  it('does not undo a logout that comes while it is on its way', async () => {
    const { store, hold } = gatedStore(withoutTouch(new DocumentStore()))
    const { live } = watchedOn(store)
    store.data.set('id', record({}, 60_000))
    await live.getToTouch('id')
    expect(await touchedDuringLogout(store, hold('set'), () => live.touchHeld('id'))).toBe('gone')
    expect(store.data.size).toBe(0)
  })

  it('reads again in a later turn: another process may have written, or the session may be over', async () => {
    for (const store of [new DocumentStore(), withoutTouch(new DocumentStore())]) {
      const { live } = watchedOn(store)
      store.data.set('id', record({ user: 'ada' }, 60_000))
      await live.getToTouch('id')
      await rest(2)
      store.data.set('id', record({ user: 'ada', role: 'guest' }, 60_000))
      expect(await live.touchHeld('id')).toBe('touched')
      expect(store.data.get('id')).toMatchObject({ role: 'guest' })
      await live.getToTouch('id')
      await rest(2)
      store.data.delete('id')
      expect(await live.touchHeld('id')).toBe('gone')
      expect(store.data.size).toBe(0)
    }
  })

  it('keeps nothing of a session that is not watched', async () => {
    const { store, live } = liveOn(new DocumentStore())
    const get = vi.spyOn(store, 'get')
    store.data.set('id', record({}, 60_000))
    await live.getToTouch('id')
    await live.touchHeld('id')
    expect(get).toHaveBeenCalledTimes(2)
  })
})

describe('touches by HTTP while an update is on its way', () => {
  it('do not make it start again', async () => {
    const { store, hold } = gatedStore(new DocumentStore())
    const { live } = liveOn(store)
    store.data.set('id', record({ user: 'ada' }, 60_000))
    const held = await live.get('id')
    const get = vi.spyOn(store, 'get')
    const gate = hold('get', 'answer')
    const replacing = live.replace('id', held!, admin())
    await gate.arrived
    const touchGate = hold('touch')
    store.touch('id', record({ user: 'ada' }, 60_000), () => undefined)
    await touchGate.arrived
    gate.open()
    expect(await replacing).toHaveProperty('replaced')
    expect(get).toHaveBeenCalledOnce()
    touchGate.open()
  })

  it('are waited for once where they were in flight before it, or they would undo it', async () => {
    const { store, live } = liveOn(new ReadingTouchStore())
    store.data.set('id', record({ user: 'ada' }, 60_000))
    const held = await live.get('id')
    const touched = done((callback) => store.touch('id', record({ user: 'ada' }, 60_000), callback))
    expect(await live.replace('id', held!, admin())).toHaveProperty('replaced')
    await touched
    expect(store.data.get('id')).toMatchObject({ role: 'admin' })
  })

  it('let it through on a store that always has one in flight', async () => {
    const { store, live } = liveOn(new ReadingTouchStore())
    store.data.set('id', record({ user: 'ada' }, 60_000))
    let stopped = false
    const get = async () => {
      while (!stopped) await done((callback) => store.touch('id', record({}, 60_000), callback))
    }
    const gets = Array.from({ length: 12 }, get)
    const held = await live.get('id')
    expect(await live.replace('id', held!, admin())).toHaveProperty('replaced')
    stopped = true
    await Promise.all(gets)
  })
})

describe('an own touch and an own update of one session', () => {
  it('take turns, so that a touch that reads and writes back undoes no update', async () => {
    for (let turns = 0; turns < 16; turns += 1) {
      const { store, live } = liveOn(new ReadingTouchStore())
      store.data.set('id', record({ user: 'ada' }, 60_000))
      const held = await live.get('id')
      const touching = live.touch('id')
      await rest(turns)
      const [replaced, touched] = await Promise.all([live.replace('id', held!, admin()), touching, live.touch('id')])
      expect([replaced, touched]).toEqual([
        expect.objectContaining({ replaced: expect.anything() as unknown }),
        'touched',
      ])
      expect(store.data.get('id')).toMatchObject({ role: 'admin' })
    }
  })

  it('are no change to each other, though the time moves on while a cookie is renewed', async () => {
    const { store, live } = liveOn(new ReadingTouchStore())
    const session = record({ user: 'ada' }, 60_000)
    store.data.set('id', session)
    const held = await live.get('id')
    let now = Date.now()
    vi.spyOn(Date, 'now').mockImplementation(() => (now += 1))
    expect(await live.touch('id')).toBe('touched')
    expect(await live.replace('id', held!, { ...session, role: 'admin' })).toHaveProperty('replaced')
    expect(store.data.get('id')).toMatchObject({ role: 'admin', cookie: { originalMaxAge: 60_000 } })
  })
})

describe('an update whose time has passed', () => {
  it('is rejected, reads no more and writes nothing, though others write all the time', async () => {
    const pass = stopClocks()
    const { store, live } = liveOn(new DocumentStore(), 1_000)
    store.data.set('id', record({ user: 'ada' }))
    const held = await live.get('id')
    const original = store.get.bind(store)
    // Each read is overtaken by a write.
    const get = vi.spyOn(store, 'get').mockImplementation((sessionID, callback) => {
      original(sessionID, (error, found) => {
        store.set('id', record({ user: 'ada' }), () => callback?.(error, found))
      })
    })
    const rejected = expect(live.replace('id', held!, admin())).rejects.toBeInstanceOf(StoreUnavailableError)
    await pass(1_000, 100)
    await rejected
    await rest()
    const reads = get.mock.calls.length
    await rest(50)
    expect(get.mock.calls.length).toBe(reads)
    expect(store.data.get('id')).not.toHaveProperty('role')
  })

  it('holds up the next one no longer than its own time, and writes nothing when its read is answered after all', async () => {
    const pass = stopClocks()
    const { store, hold } = gatedStore(new DocumentStore())
    const { live } = liveOn(store, 1_000)
    store.data.set('id', record({ user: 'ada' }))
    const held = await live.get('id')
    const gate = hold('get')
    const eve = record({ user: 'eve' })
    const rejected = expect(live.replace('id', held!, eve)).rejects.toBeInstanceOf(StoreUnavailableError)
    await pass(1_000, 500)
    await rejected
    expect(await live.replace('id', held!, admin())).toHaveProperty('replaced')
    gate.open()
    await rest()
    expect(store.data.get('id')).toMatchObject({ user: 'ada', role: 'admin' })
  })
})

describe('touches that are under way when the bridge closes', () => {
  it('fail, and ask nothing more of the store, however many wait for their turn', async () => {
    const { store, hold } = gatedStore(new DocumentStore())
    const { live } = liveOn(store)
    store.data.set('id', record({}, 60_000))
    const [get, touch] = [vi.spyOn(store as Store, 'get'), vi.spyOn(store as Store, 'touch')]
    const gate = hold('get', 'answer')
    const touches = [live.touch('id'), live.touch('id')]
    const failed = Promise.all(touches.map((each) => expect(each).rejects.toBeInstanceOf(StoreUnavailableError)))
    await gate.arrived
    await live.close()
    await failed
    gate.open()
    await rest()
    expect(get).toHaveBeenCalledOnce()
    expect(touch).not.toHaveBeenCalled()
  })
})

describe('an expiry that this process has put off', () => {
  it('is known until a second after it, since some stores keep whole seconds', async () => {
    const turn = stopClocks()
    const { store, live } = liveOn(new TtlStore())
    store.set('id', record({}, 10_000))
    live.watch('id')
    const json = JSON.stringify(record({}, 10_000))
    await done((callback) => store.touch('id', record({}, 20_000), callback))
    const date = Date.now() + 20_000
    // It rounds up: the session is there a while after its date.
    store.data.set('id', { json, expiresAt: date + 5_000 })
    expect((await live.get('id'))?.expiresAt).toBe(date)
    await turn(20_000)
    const kept = (await live.get('id'))?.expiresAt ?? 0
    expect(kept).toBeGreaterThanOrEqual(date + 1_000)
    expect(kept).toBeLessThan(date + 1_500)
    await turn(kept - Date.now())
    expect((await live.get('id'))?.expiresAt).toBeUndefined()
  })

  it('ends a socket within two seconds of it on such a store', async () => {
    const turn = stopClocks()
    const store = new TtlStore()
    store.set('id', record({ user: 'ada' }, 10_000))
    const { bind } = startBridge({ store, keepAlive: 'never', revalidateMs: 3_600_000 })
    const { context } = await bind('id')
    await done((callback) => store.touch('id', record({ user: 'ada' }, 20_000), callback))
    store.data.get('id')!.expiresAt += 700
    await turn(19_900, 500)
    expect(context.ended).toBeUndefined()
    await turn(2_000, 500)
    expect(context.ended).toEqual({ reason: 'expired', code: 4401 })
  })
})

describe('ENOENT', () => {
  it.each([
    ['of a file means no session', { code: 'ENOENT', syscall: 'open' }, undefined],
    ['of nothing in particular means no session', { code: 'ENOENT' }, undefined],
    ['of a Unix socket is a store that failed', { code: 'ENOENT', syscall: 'connect' }, StoreUnavailableError],
    ['of a program that cannot start is one, too', { code: 'ENOENT', syscall: 'spawn sqlite3' }, StoreUnavailableError],
  ])('%s', async (_what, properties, failure) => {
    const store = new MemoryStore()
    store.get = (_id, callback) => callback(Object.assign(new Error('ENOENT'), properties))
    const { live } = liveOn(store)
    if (failure === undefined) expect(await live.get('id')).toBeUndefined()
    else await expect(live.get('id')).rejects.toBeInstanceOf(failure)
  })
})

describe('a store with many bridges', () => {
  it('has one listener for all of them, and none when they have closed', async () => {
    const warnings = vi.spyOn(process, 'emitWarning')
    const store = new MemoryStore()
    const before = store.listenerCount('connect')
    const bridges = Array.from({ length: 12 }, () => startBridge({ store }))
    expect(store.listenerCount('connect') - before).toBe(1)
    expect(store.listenerCount('disconnect')).toBe(1)
    expect(warnings).not.toHaveBeenCalled()
    store.emit('disconnect')
    for (const { bridge } of bridges) await expect(bridge.load('id')).rejects.toThrow(StoreUnavailableError)
    store.emit('connect')
    for (const { bridge } of bridges) expect(await bridge.load('id')).toBeUndefined()
    await Promise.all(bridges.map(({ bridge }) => bridge.close()))
    expect(store.listenerCount('connect')).toBe(before)
  })
})
