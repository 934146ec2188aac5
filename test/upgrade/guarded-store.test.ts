import { once } from 'node:events'
import { MemoryStore, Store, type SessionData } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import { SessionEndedError, StoreUnavailableError } from 'ws-session-bridge'
import { startApp } from '../support/app.js'
import { answerTo, connect, recordOf } from './server-side.js'

type Callback<T = void> = (error?: unknown, value?: T) => void

/** A store whose state only its own methods can reach, with a method and a property of its own. */
class PrivateStore extends Store {
  readonly #records = new Map<string, string>()

  get size(): number {
    return this.#records.size
  }

  override get(sessionID: string, callback: Callback<SessionData | null>): void {
    const record = this.#records.get(sessionID)
    callback(null, record === undefined ? null : (JSON.parse(record) as SessionData))
  }

  override set(sessionID: string, session: SessionData, callback?: Callback): void {
    this.#records.set(sessionID, JSON.stringify(session))
    callback?.()
  }

  override destroy(sessionID: string, callback?: Callback): void {
    this.#records.delete(sessionID)
    callback?.()
  }

  override all(callback: Callback<SessionData[]>): void {
    callback(
      null,
      [...this.#records.values()].map((record) => JSON.parse(record) as SessionData),
    )
  }

  override length(callback: Callback<number>): void {
    callback(null, this.size)
  }

  usersNow(): (string | undefined)[] {
    return [...this.#records.values()].map((record) => (JSON.parse(record) as SessionData).user)
  }
}

describe.each([
  ['a MemoryStore', () => new MemoryStore()],
  ['a store with private fields', () => new PrivateStore()],
])('request.sessionStore, before %s', (_name, makeStore) => {
  async function startConnected() {
    const app = await startApp({ store: makeStore() })
    const both = await connect(app)
    return { app, ...both, guard: both.request.sessionStore, sessionID: both.context.sessionID }
  }

  it('is a Store, and one for all requests of the bridge', async () => {
    const { app, guard, cookie } = await startConnected()
    expect(guard).toBeInstanceOf(Store)
    expect((await connect(app, { cookie })).request.sessionStore).toBe(guard)
  })

  it('get() gives the record, and nothing for an unknown ID', async () => {
    const { guard, sessionID } = await startConnected()
    const { error, value } = await answerTo<SessionData | null>((callback) => {
      guard.get(sessionID, callback)
    })
    expect(error).toBeNull()
    expect(value).toMatchObject({ user: 'ada', cookie: { path: '/', httpOnly: true } })
    const unknown = await answerTo((callback) => {
      guard.get('unknown', callback)
    })
    expect(unknown).toEqual({ error: null, value: undefined })
  })

  it('load() gives a Session that can be saved', async () => {
    const { app, guard, sessionID } = await startConnected()
    const { value: loaded } = await answerTo<SessionData>((callback) => {
      guard.load(sessionID, callback)
    })
    const held = loaded as Express.Request['session']
    expect([held.id, held.user]).toEqual([sessionID, 'ada'])
    held.views = 2
    expect((await answerTo((callback) => held.save(callback))).error).toBeNull()
    expect(await recordOf(app, sessionID)).toMatchObject({ user: 'ada', views: 2 })
    const unknown = await answerTo((callback) => {
      guard.load('unknown', callback)
    })
    expect(unknown.value).toBeUndefined()
  })

  it('set() writes plain data as well, and removes what it does not hold', async () => {
    const { app, guard, sessionID } = await startConnected()
    const record = (await recordOf(app, sessionID)) as SessionData
    const { error } = await answerTo((callback) => {
      guard.set(sessionID, { cookie: record.cookie, views: 9 }, callback)
    })
    expect(error).toBeNull()
    const written = await recordOf(app, sessionID)
    expect(written).toMatchObject({ views: 9 })
    expect(written).not.toHaveProperty('user')
  })

  it('set() and touch() of a session that is not there call back with SessionEndedError, and make none', async () => {
    const { app, guard, request } = await startConnected()
    for (const method of ['set', 'touch'] as const) {
      const { error } = await answerTo((callback) => guard[method]?.('never there', request.session, callback))
      expect(error).toBeInstanceOf(SessionEndedError)
    }
    expect(await recordOf(app, 'never there')).toBeFalsy()
    expect(await answerTo((callback) => app.store.length?.(callback))).toMatchObject({ value: 1 })
  })

  it('touch() calls back when the store has been touched', async () => {
    const { app, guard, request, sessionID } = await startConnected()
    const touch = vi.fn<NonNullable<Store['touch']>>((_sessionID, _session, callback) => callback?.())
    Object.assign(app.store, { touch })
    const { error } = await answerTo((callback) => guard.touch?.(sessionID, request.session, callback))
    expect(error).toBeNull()
    expect(touch).toHaveBeenCalledExactlyOnceWith(
      sessionID,
      expect.objectContaining({ user: 'ada' }),
      expect.any(Function),
    )
  })

  it('destroy() signs out, and is harmless a second time', async () => {
    const { app, client, guard, sessionID } = await startConnected()
    for (let times = 1; times <= 2; times += 1) {
      const { error } = await answerTo((callback) => {
        guard.destroy(sessionID, callback)
      })
      expect(error).toBeNull()
    }
    expect(await recordOf(app, sessionID)).toBeFalsy()
    expect((await client.closed).code).toBe(4401)
  })

  it('all(), length() and the events are those of the store', async () => {
    const { app, guard } = await startConnected()
    const all = await answerTo<object>((callback) => guard.all?.(callback as never))
    expect(Object.values(all.value ?? {})).toMatchObject([{ user: 'ada' }])
    expect(await answerTo((callback) => guard.length?.(callback))).toMatchObject({ value: 1 })
    const heard = once(guard, 'news')
    app.store.emit('news', 1)
    expect(await heard).toEqual([1])
  })
})

describe('request.sessionStore', () => {
  it('has what else a store has, its getters and own methods included', async () => {
    const app = await startApp({ store: new PrivateStore() })
    const { request } = await connect(app)
    const { size, usersNow } = request.sessionStore as unknown as Pick<PrivateStore, 'size' | 'usersNow'>
    expect(size).toBe(1)
    // Taken off its store, as a callback is.
    expect(usersNow()).toEqual(['ada'])
  })

  it('lets a save() and a destroy() at the same time end without the session, whichever comes first', async () => {
    for (const first of ['save', 'destroy'] as const) {
      const app = await startApp()
      const { request, context } = await connect(app)
      const { session } = request
      const calls = {
        save: () => answerTo((callback) => session.save(callback)),
        destroy: () => answerTo((callback) => session.destroy(callback)),
      }
      session.views = 1
      const second = first === 'save' ? 'destroy' : 'save'
      await Promise.all([calls[first](), calls[second]()])
      expect(await recordOf(app, context.sessionID)).toBeUndefined()
    }
  })

  it('says that the store is away when it is, and works when it is back', async () => {
    const app = await startApp()
    const { request } = await connect(app)
    app.store.emit('disconnect')
    const { error } = await answerTo((callback) => request.session.save(callback))
    expect(error).toBeInstanceOf(StoreUnavailableError)
    app.store.emit('connect')
    expect((await answerTo((callback) => request.session.save(callback))).error).toBeNull()
  })
})

describe('request.session.save()', () => {
  it('writes all that has changed since the last one that succeeded, after two that failed', async () => {
    const app = await startApp()
    const { request, context } = await connect(app)
    const { session } = request
    const save = () => answerTo((callback) => session.save(callback))
    app.store.emit('disconnect')
    session.views = 1
    const first = save()
    session.role = 'admin'
    const second = save()
    expect((await first).error).toBeInstanceOf(StoreUnavailableError)
    expect((await second).error).toBeInstanceOf(StoreUnavailableError)
    app.store.emit('connect')
    session.since = new Date(0)
    expect((await save()).error).toBeNull()
    expect(await recordOf(app, context.sessionID)).toMatchObject({
      user: 'ada',
      views: 1,
      role: 'admin',
      since: new Date(0).toISOString(),
    })
  })
})
