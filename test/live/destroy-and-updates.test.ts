import { MemoryStore } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import type { SessionDraft } from 'ws-session-bridge'
import { gatedStore } from '../support/gate.js'
import { record, rest, startBridge, stopClocks, until } from './bound.js'
import { ByHandLiveStore, bindFound, stored } from './by-hand-live-store.js'

const increment = (draft: SessionDraft): void => {
  draft.views = (draft.views ?? 0) + 1
}

/** How a promise ended, as far as it has by then. */
function watch(work: Promise<unknown>): { code: string | undefined } {
  const fate: { code: string | undefined } = { code: undefined }
  work.then(
    () => (fate.code = 'done'),
    (error: unknown) => (fate.code = (error as { code?: string }).code ?? String(error)),
  )
  return fate
}

describe('destroy()', () => {
  it('waits for the write that is under way, not for those that wait, which end with it', async () => {
    const { store, hold } = gatedStore(new MemoryStore())
    const { bridge } = startBridge({ store })
    store.set('id', record({ views: 0 }))
    const gate = hold('set')
    const updates = Array.from({ length: 50 }, () => watch(bridge.update('id', increment)))
    await gate.arrived
    const set = vi.spyOn(store, 'set')
    const destroyed = bridge.destroy('id')
    gate.open()
    await destroyed
    await rest()
    expect(set).not.toHaveBeenCalled()
    expect(updates.slice(1).every(({ code }) => code === 'SESSION_ENDED')).toBe(true)
    expect(await bridge.load('id')).toBeUndefined()
  })

  it('that fails leaves the updates that waited to go on', async () => {
    const live = new ByHandLiveStore()
    const parts = startBridge({ live })
    await bindFound(parts, live, stored(record({ views: 0 })))
    live.destroyed = () => Promise.reject(new Error('down'))
    const destroyed = watch(parts.bridge.destroy('id'))
    const update = watch(parts.bridge.update('id', increment))
    await rest()
    expect([destroyed.code, update.code]).toEqual(['STORE_UNAVAILABLE', 'done'])
  })

  it('takes no longer than its own deadline behind a write that never ends', async () => {
    const pass = stopClocks()
    const live = new ByHandLiveStore()
    const parts = startBridge({ live })
    await bindFound(parts, live, stored(record({ views: 0 })))
    live.replaced = () => new Promise(() => undefined)
    const updates = Array.from({ length: 20 }, () => watch(parts.bridge.update('id', increment)))
    await pass(1_000, 500)
    const destroyed = watch(parts.bridge.destroy('id'))
    await pass(5_000, 500)
    expect(destroyed.code).toBe('done')
    expect(updates.every(({ code }) => code === 'STORE_UNAVAILABLE')).toBe(true)
  })
})

describe('updates of one session', () => {
  it('all settle within one deadline, however many wait behind one that never ends', async () => {
    const pass = stopClocks()
    const live = new ByHandLiveStore()
    const parts = startBridge({ live })
    await bindFound(parts, live, stored(record({ views: 0 })))
    live.replaced = () => new Promise(() => undefined)
    const updates = Array.from({ length: 20 }, () => watch(parts.bridge.update('id', increment)))
    await pass(5_500, 500)
    expect(updates.map(({ code }) => code)).toEqual(updates.map(() => 'STORE_UNAVAILABLE'))
  })

  it('wait a thousand at most: one more is rejected at once', async () => {
    const { store, hold } = gatedStore(new MemoryStore())
    const { bridge } = startBridge({ store })
    store.set('id', record({ views: 0 }))
    const gate = hold('set')
    const updates = Array.from({ length: 1_001 }, () => watch(bridge.update('id', increment)))
    await gate.arrived
    await expect(bridge.update('id', increment)).rejects.toThrow(/1000 updates of the session are waiting/)
    // Other sessions have queues of their own.
    store.set('other', record({ views: 0 }))
    expect(await bridge.update('other', increment)).toMatchObject({ views: 1 })
    gate.open()
    await until(() => updates.every(({ code }) => code === 'done'))
    expect((await bridge.load('id'))?.views).toBe(1_001)
  })

  it.each<[string, (draft: SessionDraft) => undefined]>([
    ['a circular value', (draft) => void Object.assign(draft, { self: draft })],
    ['a BigInt', (draft) => void Object.assign(draft, { count: 1n })],
  ])('that put %s into the session are a TypeError that says so, and write nothing', async (_what, mutate) => {
    const { bridge, store } = startBridge()
    store.set('id', record({ views: 1 }))
    await rest()
    const set = vi.spyOn(store, 'set')
    const update = bridge.update('id', mutate)
    await expect(update).rejects.toThrow(TypeError)
    await expect(update).rejects.toThrow(/^update: .*circular reference, no BigInt/)
    expect(set).not.toHaveBeenCalled()
  })
})
