import type { SessionData, Store } from 'express-session'
import { describe, expect, it } from 'vitest'
import type { StoredSession } from 'ws-session-bridge'
import { ExpressStore } from '../../src/store/express-store.js'
import { snapshotOfStored } from '../../src/store/normalized-session.js'
import { record, startBridge } from '../live/bound.js'
import { atEnd } from '../support/at-end.js'
import { DocumentStore, withoutTouch } from './database-stores.js'

function liveOn<S extends Store>(store: S) {
  const live = new ExpressStore(store)
  atEnd(() => live.close())
  return { store, live }
}

async function held(live: ExpressStore): Promise<StoredSession> {
  const stored = await live.get('id')
  if (stored === undefined) throw new Error('There is no such session')
  return stored
}

function changed(stored: StoredSession, changes: object): SessionData {
  return { ...snapshotOfStored(stored), ...changes } as unknown as SessionData
}

const born = new Date(0)
const documentOf = (): SessionData =>
  ({
    ...record({ user: 'ada' }, 60_000),
    born,
    nothing: undefined,
    tags: new Set(['a']),
    profile: { born, name: 'Ada', pets: [{ born }, { born, name: 'Rex' }] },
  }) as unknown as SessionData

describe('what a store keeps that has no JSON of its own', () => {
  it('goes back as the store gave it where an update leaves it alone', async () => {
    const { store, live } = liveOn(new DocumentStore())
    store.data.set('id', documentOf())
    await live.replace('id', await held(live), changed(await held(live), { user: 'grace' }))
    const { cookie, ...data } = store.data.get('id') as unknown as Record<string, unknown>
    expect(data).toEqual({ ...documentOf(), cookie: undefined, user: 'grace' })
    expect(data.born).toBeInstanceOf(Date)
    expect(data).toHaveProperty('nothing')
  })

  it('goes back part by part where an update changes something beside it', async () => {
    const { store, live } = liveOn(new DocumentStore())
    store.data.set('id', documentOf())
    const stored = await held(live)
    const profile = structuredClone(snapshotOfStored(stored)) as unknown as { profile: { pets: { name?: string }[] } }
    profile.profile.pets[1]!.name = 'Tom'
    await live.replace('id', stored, changed(stored, { profile: profile.profile, added: '1970-01-01T00:00:00.000Z' }))
    expect(store.data.get('id')).toMatchObject({
      profile: { born, name: 'Ada', pets: [{ born }, { born, name: 'Tom' }] },
      added: '1970-01-01T00:00:00.000Z',
    })
  })

  it('goes where an update removes it', async () => {
    const { store, live } = liveOn(new DocumentStore())
    store.data.set('id', documentOf())
    const stored = await held(live)
    await live.replace('id', stored, changed(stored, { born: undefined, profile: { name: 'Ada' } }))
    const after = store.data.get('id')
    expect(after).not.toHaveProperty('born')
    expect(after).toHaveProperty('profile', { name: 'Ada' })
  })

  it('brings no prototype of its own', async () => {
    const { store, live } = liveOn(new DocumentStore())
    const poisoned = JSON.parse('{"__proto__":{"isAdmin":true},"deep":{"__proto__":{"isAdmin":true},"a":1}}') as object
    store.data.set('id', Object.assign(poisoned, record()))
    const stored = await held(live)
    await live.replace('id', stored, changed(stored, { deep: { a: 2 } }))
    const { deep } = store.data.get('id') as unknown as { deep: object }
    expect(deep).not.toHaveProperty('isAdmin')
    expect(store.data.get('id')).not.toHaveProperty('isAdmin')
  })
})

describe('touch', () => {
  it('hands the record over as the store gave it, with a real Cookie that is renewed', async () => {
    const { store, live } = liveOn(new DocumentStore())
    const lastModified = new Date()
    store.data.set('id', { ...record({ user: 'ada' }, 60_000, 1_000), lastModified } as unknown as SessionData)
    expect(await live.touch('id')).toBe('touched')
    expect(store.touched).toEqual([expect.objectContaining({ user: 'ada', lastModified })])
    expect(store.touched[0]!.cookie.maxAge).toBeGreaterThan(59_000)
  })

  it('writes the session where the store has no touch, as only that puts its expiry off', async () => {
    const { store, live } = liveOn(withoutTouch(new DocumentStore()))
    store.data.set('id', record({ user: 'ada' }, 60_000, 1_000))
    expect(await live.touch('id')).toBe('touched')
    expect(store.data.get('id')).toMatchObject({ user: 'ada' })
    const { expires } = snapshotOfStored(await held(live)).cookie
    expect(Date.parse(expires ?? '')).toBeGreaterThan(Date.now() + 59_000)
    store.data.delete('id')
    expect(await live.touch('id')).toBe('gone')
    expect(store.data.size).toBe(0)
  })
})

describe('what a store keeps in its records for itself', () => {
  it.each([
    ['session-file-store: __lastAccess', { filePattern: /\.json$/ }, '__lastAccess', 1, 2],
    ['connect-mongo with touchAfter: lastModified', { touchAfter: 60 }, 'lastModified', new Date(1), new Date(2)],
  ])('is no change of the session, and stays in the record: %s', async (_store, options, name, before, after) => {
    const store = Object.assign(new DocumentStore(), { options })
    store.data.set('id', { ...record({ user: 'ada' }), [name]: before })
    const { bridge, bind } = startBridge({ store })
    const { context } = await bind('id')
    const changes: unknown[] = []
    context.on('change', (session) => changes.push(session))
    expect(context.session).not.toHaveProperty(name)

    store.data.set('id', { ...record({ user: 'ada' }), [name]: after })
    await context.refresh()
    expect(changes).toEqual([])
    await bridge.update('id', (draft) => void (draft.user = 'grace'))
    expect(store.data.get('id')).toMatchObject({ user: 'grace', [name]: after })
  })

  it('is a field like any other in a store that is not known for it', async () => {
    const { store, live } = liveOn(new DocumentStore())
    store.data.set('id', { ...record(), lastModified: 'today' } as unknown as SessionData)
    expect(snapshotOfStored(await held(live))).toMatchObject({ lastModified: 'today' })
  })
})
