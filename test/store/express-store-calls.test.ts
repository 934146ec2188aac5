import { MemoryStore, type Store } from 'express-session'
import { describe, expect, it } from 'vitest'
import { ExpressStore } from '../../src/store/express-store.js'
import type { StoreCall } from '../../src/store/store-calls.js'
import { done, record, rest, stopClocks } from '../live/bound.js'
import { atEnd } from '../support/at-end.js'
import { gatedStore } from '../support/gate.js'

/** A LiveStore that watches `id`, what it tells of calls, and what of changes. */
function reportsOf(store: Store, timeoutMs?: number) {
  const live = new ExpressStore(store, timeoutMs)
  atEnd(() => live.close())
  const calls: unknown[] = []
  const changes: unknown[] = []
  live.onChange((sessionID) => changes.push(sessionID))
  live.onStoreCall(({ method, sessionID, isAnswered, hasFailed }: StoreCall) => {
    const state = !isAnswered ? 'called' : hasFailed ? 'failed' : 'answered'
    calls.push([method, sessionID, state])
  })
  live.watch('id')
  return { live, calls, changes }
}

describe('the calls that an ExpressStore reports', () => {
  it('are those of this process to watched sessions, each at the call and at its answer, in place of a change', async () => {
    const store = new MemoryStore()
    const { calls, changes } = reportsOf(store)
    await done((callback) => store.set('id', record(), callback))
    await done((callback) => store.set('other', record(), callback))
    await done((callback) => store.destroy('id', callback))
    await done((callback) => store.clear(callback))
    expect(calls).toEqual([
      ['set', 'id', 'called'],
      ['set', 'id', 'answered'],
      ['destroy', 'id', 'called'],
      ['destroy', 'id', 'answered'],
      ['clear', undefined, 'called'],
      ['clear', undefined, 'answered'],
    ])
    expect(changes).toEqual([])
    store.emit('connect')
    expect(changes).toEqual([undefined])
  })

  it('say which were answered with an error', async () => {
    const destroy = (_id: string, callback?: (error?: unknown) => void): void => {
      setImmediate(() => callback?.(new Error('down')))
    }
    const { live, calls } = reportsOf(Object.assign(new MemoryStore(), { destroy }))
    await expect(live.destroy('id')).rejects.toThrow()
    expect(calls).toEqual([
      ['destroy', 'id', 'called'],
      ['destroy', 'id', 'failed'],
    ])
  })

  it('are its own touch and destroy, but not the set of its own replace, which other LiveStores on the store report', async () => {
    const store = new MemoryStore()
    store.set('id', record({ user: 'ada' }))
    const own = reportsOf(store)
    const other = reportsOf(store)
    const held = await own.live.get('id')
    await own.live.replace('id', held!, record({ user: 'grace' }))
    expect(own.calls).toEqual([])
    expect(other.calls).toEqual([
      ['set', 'id', 'called'],
      ['set', 'id', 'answered'],
    ])
    await own.live.touch('id')
    await own.live.destroy('id')
    expect(own.calls).toEqual([
      ['touch', 'id', 'called'],
      ['touch', 'id', 'answered'],
      ['destroy', 'id', 'called'],
      ['destroy', 'id', 'answered'],
    ])
  })

  it('are the set of its own replace, too, where that is answered after its time', async () => {
    const pass = stopClocks()
    const { store, hold } = gatedStore(new MemoryStore())
    store.set('id', record({ user: 'ada' }))
    const { live, calls } = reportsOf(store, 1_000)
    const gate = hold('set', 'answer')
    const held = await live.get('id')
    const replacing = live.replace('id', held!, record({ user: 'grace' })).catch(() => undefined)
    await gate.arrived
    await pass(2_000, 500)
    expect(calls).toEqual([])
    gate.open()
    await replacing
    await rest()
    expect(calls).toEqual([['set', 'id', 'answered']])
  })
})
