import { MemoryStore, type SessionData } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import {
  SessionEndedError,
  StoreUnavailableError,
  type SessionBridge,
  type SessionContext,
  type SessionDraft,
  type SessionSnapshot,
} from 'ws-session-bridge'
import { startApp } from '../support/app.js'
import { createGate, gatedStore } from '../support/gate.js'
import { done, record, rest, startBridge, stopClocks, until } from './bound.js'
import { bindFound, bindLoaded, ByHandLiveStore, stored } from './by-hand-live-store.js'
import { connect, sessionIDOf } from './connected.js'
import { TtlStore, type Kept } from './ttl-store.js'

const increment = (draft: SessionDraft): void => {
  draft.views = (draft.views ?? 0) + 1
}

describe('update()', () => {
  it('keeps every one of 1,000 increments by 50 writers at once, through contexts and by ID', async () => {
    const { bridge, store, bind } = startBridge()
    store.set('id', record({ views: 0 }))
    let calls = 0
    const counted = (draft: SessionDraft): void => {
      calls += 1
      increment(draft)
    }
    const writers = []
    for (let index = 0; index < 50; index += 1) writers.push(index % 2 === 0 ? (await bind('id')).context : undefined)
    await Promise.all(
      writers.map(async (context) => {
        for (let round = 0; round < 20; round += 1) {
          await (context === undefined ? bridge.update('id', counted) : context.update(counted))
        }
      }),
    )
    expect((await bridge.load('id'))?.views).toBe(1_000)
    // They wait for each other; none has to try again.
    expect(calls).toBe(1_000)
  })

  it('keeps them over real sockets, too', async () => {
    const app = await startApp({
      onConnection(ws, _request, context) {
        ws.on('message', () => void context.update(increment).then(({ views }) => ws.send(String(views))))
      },
    })
    const cookie = await app.login('ada')
    const clients = []
    for (let index = 0; index < 10; index += 1) clients.push((await connect(app, cookie)).client)
    await Promise.all(
      clients.map(async (client) => {
        for (let round = 0; round < 20; round += 1) {
          client.ws.send('+1')
          await client.next()
        }
      }),
    )
    expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({ user: 'ada', views: 200 })
  })

  it('hands over what is there now, and resolves to what is there then', async () => {
    const { store, bind } = startBridge()
    store.set('id', record({ user: 'ada', views: 1 }))
    const { context } = await bind('id')
    const drafts: SessionDraft[] = []
    const session = await context.update((draft) => {
      drafts.push(structuredClone(draft))
      draft.views = 2
    })
    expect(drafts).toMatchObject([{ user: 'ada', views: 1 }])
    expect(session).toMatchObject({ user: 'ada', views: 2 })
    expect(context.session).toBe(session)
    expect(Object.isFrozen(session)).toBe(true)
  })

  it('calls its function again where there was a write since, with what that wrote', async () => {
    const { store, hold } = gatedStore(startBridge().store)
    const { bridge } = startBridge({ store })
    store.set('id', record({ user: 'ada', views: 1 }))
    const held = hold('get', 'answer')
    const seen: (number | undefined)[] = []
    const update = bridge.update('id', (draft) => {
      seen.push(draft.views)
      draft.role = 'admin'
    })
    await held.arrived
    await done((callback) => store.set('id', record({ user: 'ada', views: 2 }), callback))
    held.open()
    expect(await update).toMatchObject({ user: 'ada', role: 'admin', views: 2 })
    expect(seen.at(-1)).toBe(2)
  })

  it('loses nothing of an HTTP request that writes between its read and its write', async () => {
    const { store, hold } = gatedStore(startBridge().store)
    const app = await startApp({ store })
    const cookie = await app.login('ada')
    const { context } = await connect(app, cookie)
    for (let round = 0; round < 20; round += 1) {
      // The request's own load comes first.
      const held = hold('get', 'answer')
      const update = context.update(increment)
      await held.arrived
      await app.call('POST', `/set?key=role&value=role ${round}`, cookie)
      held.open()
      await update
      expect(context.session).toMatchObject({ views: round + 1, role: `role ${round}` })
    }
    expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({ user: 'ada', views: 20, role: 'role 19' })
  })

  it('loses nothing of writers who call the store themselves', async () => {
    const { bridge, store } = startBridge()
    store.set('id', record({ views: 0, role: '0' }))
    // MemoryStore's own data, so that these writers read and write in one go.
    const { sessions } = store as unknown as { sessions: Record<string, string> }
    const others = async (): Promise<void> => {
      for (let round = 0; round < 50; round += 1) {
        const session = JSON.parse(sessions.id!) as SessionData
        store.set('id', { ...session, role: String(Number(session.role) + 1) })
        await new Promise(setImmediate)
      }
    }
    const own = async (): Promise<void> => {
      for (let round = 0; round < 20; round += 1) await bridge.update('id', increment)
    }
    await Promise.all([others(), others(), ...Array.from({ length: 10 }, own)])
    expect(await bridge.load('id')).toMatchObject({ role: '100', views: 200 })
  })

  it.each<[string, (draft: SessionDraft) => unknown, new () => Error]>([
    [
      'throws',
      () => {
        throw new RangeError('the user’s own')
      },
      RangeError,
    ],
    ['returns a promise', async (draft) => void (draft.user = 'later'), TypeError],
    ['returns another thenable', () => ({ then: () => undefined }), TypeError],
    ['returns a promise that rejects', () => Promise.reject(new Error('not waited for')), TypeError],
    ['makes something that has no JSON', (draft) => Object.assign(draft, { big: 1n }), TypeError],
    ['takes the cookie away', (draft) => Reflect.deleteProperty(draft, 'cookie') && undefined, TypeError],
  ])('writes nothing where its function %s, and goes on working', async (_what, mutate, error) => {
    const { bridge, store, bind } = startBridge()
    store.set('id', record({ user: 'ada' }))
    const { context } = await bind('id')
    const set = vi.spyOn(store, 'set')
    const failing = (draft: SessionDraft): undefined => {
      draft.user = 'nobody'
      return mutate(draft) as undefined
    }
    await expect(context.update(failing)).rejects.toThrow(error)
    await expect(bridge.update('id', failing)).rejects.toThrow(error)
    expect(set).not.toHaveBeenCalled()
    expect(context.session).toMatchObject({ user: 'ada' })
    await context.update(increment)
    expect(await bridge.load('id')).toMatchObject({ user: 'ada', views: 1 })
  })

  it('calls its function again with what the store has, where it threw at what another process has changed since', async () => {
    const data = new Map<string, Kept>()
    const { store, bind } = startBridge({ store: new TtlStore(data) })
    store.set('id', record({ views: 1 }))
    const { context } = await bind('id')
    await rest()
    new TtlStore(data).set('id', record({ views: 100 }))
    const spend = (draft: SessionDraft): void => {
      if ((draft.views ?? 0) < 10) throw new RangeError('not enough')
      draft.views = (draft.views ?? 0) - 10
    }
    expect(await context.update(spend)).toMatchObject({ views: 90 })
  })

  it('ends no socket where its function throws a SessionEndedError of its own', async () => {
    const { store, bind } = startBridge()
    store.set('id', record())
    const { context } = await bind('id')
    const thrown = new SessionEndedError()
    await expect(
      context.update(() => {
        throw thrown
      }),
    ).rejects.toBe(thrown)
    await rest()
    expect(context.ended).toBeUndefined()
  })

  it('ends the sockets of a session that it finds gone, and never makes one', async () => {
    const data = new Map<string, { json: string; expiresAt: number }>()
    const { bridge, store, bind, faults } = startBridge({ store: new TtlStore(data) })
    store.set('id', record())
    const { context } = await bind('id')
    await rest()
    data.delete('id')
    await expect(context.update(increment)).rejects.toMatchObject({ code: 'SESSION_ENDED' })
    expect(context.ended?.reason).toBe('destroyed')
    await expect(bridge.update('never was', increment)).rejects.toThrow(SessionEndedError)
    expect(data.size).toBe(0)
    expect(faults).toEqual([])
  })

  it.each([
    ['for a session that is gone', undefined],
    ['for a record that cannot be a session', stored({} as SessionData)],
  ])('does not call its function %s', async (_what, found) => {
    const live = new ByHandLiveStore()
    const { bridge } = startBridge({ live })
    const mutate = vi.fn()
    const update = bridge.update('id', mutate)
    await until(() => live.gets.length === 1)
    live.gets.shift()?.answer(found)
    await expect(update).rejects.toThrow(SessionEndedError)
    expect(mutate).not.toHaveBeenCalled()
  })

  it('rejects with StoreUnavailableError when the store fails, and finds out what became of it', async () => {
    const { store, bind, bridge } = startBridge()
    store.set('id', record({ views: 0 }))
    const { context } = await bind('id')
    await rest()
    // It wrote, and then said that it had failed.
    const failed = new Error('timed out')
    const set = store.set.bind(store)
    vi.spyOn(store, 'set').mockImplementationOnce((sessionID, session, callback) => {
      set(sessionID, session, () => callback?.(failed))
    })
    const error = await context.update(increment).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(StoreUnavailableError)
    expect(error).toMatchObject({ cause: failed })
    await until(() => context.session.views === 1)
    await context.update(increment)
    expect((await bridge.load('id'))?.views).toBe(2)
  })

  it('has the session checked when the store fails, and not when its function throws', async () => {
    const live = new ByHandLiveStore()
    const { context } = await bindFound(startBridge({ live }), live, stored(record({ views: 0 })))
    live.replaced = () => Promise.reject(new Error('down'))
    await expect(context.update(increment)).rejects.toThrow(StoreUnavailableError)
    live.gets.shift()?.answer(stored(record({ views: 1 })))
    await rest()
    expect(context.session.views).toBe(1)
    const throwing = context.update(() => {
      throw new RangeError('the user’s own')
    })
    const failing = expect(throwing).rejects.toThrow(RangeError)
    await rest()
    // It throws at what may be out of date, so that is read once; no check reads it again.
    live.gets.shift()?.answer(stored(record({ views: 1 })))
    await failing
    expect(live.gets).toEqual([])
  })

  it('goes on where a write never answers, when its deadline has passed', async () => {
    // Beneath what the bridge hears: for it, the call is under way.
    const store = new MemoryStore()
    store.set('id', record({ views: 0 }))
    vi.spyOn(store, 'set').mockImplementationOnce(() => undefined)
    const pass = stopClocks()
    const { bridge } = startBridge({ store, handshakeTimeoutMs: 500 })
    const first = expect(bridge.update('id', increment)).rejects.toThrow(StoreUnavailableError)
    await pass(300, 100)
    const second = bridge.update('id', increment)
    await pass(300, 100)
    await first
    expect(await second).toMatchObject({ views: 1 })
  })

  describe('that was given up, and is written all the same,', () => {
    async function startSlow() {
      const pass = stopClocks()
      const { store, hold } = gatedStore(new MemoryStore())
      const { bridge, bind } = startBridge({
        store,
        handshakeTimeoutMs: 500,
        revalidateMs: 1_000_000,
        keepAlive: 'never',
      })
      store.set('id', record({ views: 0 }))
      const { context } = await bind('id')
      await rest()
      return { pass, hold, bridge, context }
    }

    it('is seen when it is done, where the store was slow to write', async () => {
      const { pass, hold, context } = await startSlow()
      const read = hold('get')
      const write = hold('set')
      const updating = expect(context.update(increment)).rejects.toThrow(StoreUnavailableError)
      await pass(300, 100)
      read.open()
      await pass(300, 100)
      await updating
      expect(context.session.views).toBe(0)
      write.open()
      await rest()
      expect(context.session.views).toBe(1)
    })

    it('is seen when it is done, where it had waited for another update', async () => {
      const { pass, hold, bridge, context } = await startSlow()
      const reads = [hold('get'), hold('get')] as const
      const first = bridge.update('id', () => undefined)
      const second = expect(bridge.update('id', increment)).rejects.toThrow(StoreUnavailableError)
      await pass(300, 100)
      reads[0].open()
      await first
      await reads[1].arrived
      await pass(300, 100)
      await second
      reads[1].open()
      await rest()
      expect(context.session.views).toBe(1)
    })
  })

  it('does not mix up what it read with a write of its own', async () => {
    const live = new ByHandLiveStore()
    const { bind } = startBridge({ live })
    const { context } = await bindLoaded({ bind }, live, stored(record({ views: 0 })))
    // A check is under way since bind(): it will say what was there before the update.
    const [check] = live.gets.splice(0)
    const changes: SessionSnapshot[] = []
    context.on('change', (session) => changes.push(session))
    await context.update(increment)
    expect(context.session.views).toBe(1)
    check?.answer(stored(record({ views: 0 })))
    await rest()
    expect(context.session.views).toBe(1)
    expect(changes.map(({ views }) => views)).toEqual([1])
  })

  it('is no reason for the next check to read twice', async () => {
    const live = new ByHandLiveStore()
    const parts = startBridge({ live })
    const { context } = await bindFound(parts, live, stored(record({ views: 0 })))
    await context.update(increment)
    parts.bridge.check('id')
    live.gets.shift()?.answer(stored(record({ views: 1 })))
    await rest()
    expect(live.gets).toEqual([])
  })

  it('reads what is there now, once the write before it is done', async () => {
    const live = new ByHandLiveStore()
    const { bridge } = startBridge({ live })
    for (const views of [0, 10]) {
      const update = bridge.update('id', increment)
      await until(() => live.gets.length === 1)
      live.gets.shift()?.answer(stored(record({ views })))
      expect((await update).views).toBe(views + 1)
    }
  })

  it('reads what is there now where the write before it found the session gone', async () => {
    const live = new ByHandLiveStore()
    const { bridge } = startBridge({ live })
    const updates = [bridge.update('id', increment), bridge.update('id', increment)] as const
    await until(() => live.gets.length === 1)
    live.gets.shift()?.answer(undefined)
    await expect(updates[0]).rejects.toThrow(SessionEndedError)
    await until(() => live.gets.length === 1)
    live.gets.shift()?.answer(stored(record({ views: 0 })))
    expect((await updates[1]).views).toBe(1)
  })

  it.each([
    ['it has just read', 100],
    ['the store says is there instead', 0],
  ])('reads nothing again where its function throws at what %s', async (_what, views) => {
    const live = new ByHandLiveStore()
    live.replaced = async () => ({ changed: stored(record({ views: 100 })) })
    const { bridge } = startBridge({ live })
    const update = bridge.update('id', (draft) => {
      if (draft.views === 100) throw new RangeError('enough')
    })
    const failing = expect(update).rejects.toThrow(RangeError)
    await until(() => live.gets.length === 1)
    live.gets.shift()?.answer(stored(record({ views })))
    await rest()
    expect(live.gets).toEqual([])
    await failing
  })

  it('reads nothing again where its function throws at what has come in place of what was held', async () => {
    const live = new ByHandLiveStore()
    live.replaced = async () => ({ changed: stored(record({ views: 100 })) })
    const { context } = await bindFound(startBridge({ live }), live, stored(record({ views: 0 })))
    const update = context.update(({ views }) => {
      if (views === 100) throw new RangeError('enough')
    })
    const failing = expect(update).rejects.toThrow(RangeError)
    await rest()
    expect(live.gets).toEqual([])
    await failing
  })

  it('does not call its function after a destroy that was asked for before it', async () => {
    const live = new ByHandLiveStore()
    const { bridge } = startBridge({ live })
    const mutate = vi.fn()
    const first = bridge.update('id', increment)
    const destroying = bridge.destroy('id')
    const failing = expect(bridge.update('id', mutate)).rejects.toThrow(SessionEndedError)
    await until(() => live.gets.length === 1)
    live.gets.shift()?.answer(stored(record({ views: 0 })))
    await first
    await destroying
    await until(() => live.gets.length === 1)
    live.gets.shift()?.answer(undefined)
    await failing
    expect(mutate).not.toHaveBeenCalled()
  })

  /* The later write was read between the write and its answer, which then put the older one in its place until revalidation. */
  it('looks again where another write came after it, and has been read before it was answered', async () => {
    const live = new ByHandLiveStore()
    const { bind } = startBridge({ live })
    const before = stored(record({ role: 'member' }))
    const { context } = await bindFound({ bind }, live, before)
    const gate = createGate()
    live.replaced = (_expected, next) => gate.wait().then(() => ({ replaced: next }))
    const update = context.update((draft) => {
      draft.role = 'admin'
    })
    await gate.arrived
    const demoted = stored(record({ role: 'guest' }))
    live.report('id')
    live.gets.shift()?.answer(demoted)
    await rest()
    expect(context.session.role).toBe('guest')
    gate.open()
    expect(await update).toMatchObject({ role: 'admin' })
    expect(live.gets).toHaveLength(1)
    live.gets.shift()?.answer(demoted)
    await rest()
    expect(context.session.role).toBe('guest')
  })

  it('does not hide from a handshake what another process has written between it and its answer', async () => {
    const live = new ByHandLiveStore()
    const app = await startApp({ bridge: { live } })
    const cookie = await app.login('ada')
    const answered = createGate()
    live.replaced = (_, next) => answered.wait().then(() => ({ replaced: next }))
    const updating = app.bridge.update(sessionIDOf(app, cookie), increment)
    live.gets.shift()?.answer(stored(record({ role: 'admin' })))
    await answered.arrived
    const connecting = connect(app, cookie)
    await until(() => live.gets.length === 1)
    // By now another process has written.
    const found = stored(record({ role: 'guest', views: 1 }))
    live.get = () => Promise.resolve(found)
    answered.open()
    await updating
    live.gets.shift()?.answer(found)
    const { context } = await connecting
    expect(context.session.role).toBe('guest')
  })

  it('believes a late "gone", whatever was written since', async () => {
    const live = new ByHandLiveStore()
    const { bind } = startBridge({ live })
    const { context } = await bindLoaded({ bind }, live, stored(record({ views: 0 })))
    const [check] = live.gets.splice(0)
    await context.update(increment)
    check?.answer(undefined)
    await until(() => context.ended !== undefined)
    expect(context.ended?.reason).toBe('destroyed')
  })
})

describe('refresh()', () => {
  it('is not undone by the answer to an older read', async () => {
    const live = new ByHandLiveStore()
    const { bind } = startBridge({ live })
    const { context } = await bindLoaded({ bind }, live, stored(record({ views: 0 })))
    const check = live.gets.shift()
    const refreshing = context.refresh()
    live.gets.shift()?.answer(stored(record({ views: 2 })))
    expect((await refreshing).views).toBe(2)
    check?.answer(stored(record({ views: 1 })))
    await rest()
    expect(context.session.views).toBe(2)
  })

  it('reads the store now, and tells of what it finds', async () => {
    const data = new Map<string, { json: string; expiresAt: number }>()
    const { store, bind } = startBridge({ store: new TtlStore(data) })
    store.set('id', record({ user: 'ada' }))
    const { context } = await bind('id')
    await rest()
    const changed = vi.fn()
    context.on('change', changed)
    new TtlStore(data).set('id', record({ user: 'grace' }))
    expect(await context.refresh()).toMatchObject({ user: 'grace' })
    expect(context.session.user).toBe('grace')
    expect(changed).toHaveBeenCalledTimes(1)
  })

  it('ends the sockets of a session that is gone, and rejects', async () => {
    const data = new Map<string, { json: string; expiresAt: number }>()
    const { store, bind } = startBridge({ store: new TtlStore(data) })
    store.set('id', record())
    const { context } = await bind('id')
    await rest()
    data.delete('id')
    await expect(context.refresh()).rejects.toThrow(SessionEndedError)
    expect(context.ended?.reason).toBe('destroyed')
  })

  it('rejects with StoreUnavailableError when the store cannot be read, and ends no socket', async () => {
    const { store, bind } = startBridge()
    store.set('id', record())
    const { context } = await bind('id')
    await rest()
    vi.spyOn(store, 'get').mockImplementationOnce((_id, callback) => callback(new Error('down')))
    await expect(context.refresh()).rejects.toThrow(StoreUnavailableError)
    expect(context.ended).toBeUndefined()
  })

  it('works on the context of authenticate() alone, too', async () => {
    const { store, authenticate } = startBridge()
    store.set('id', record({ user: 'ada' }))
    const context = await authenticate('id')
    store.set('id', record({ user: 'grace' }))
    await rest()
    expect(context.session.user).toBe('ada')
    expect(await context.refresh()).toMatchObject({ user: 'grace' })
    expect(context.session.user).toBe('grace')
    await context.update(increment)
    expect(context.session.views).toBe(1)
  })
})

describe('destroy()', () => {
  it.each<[string, (bridge: SessionBridge, context: SessionContext) => Promise<void>]>([
    ['of a context', (_bridge, context) => context.destroy()],
    ['by ID', (bridge) => bridge.destroy('id')],
  ])(
    '%s ends the sockets when the store has done it, and rejects and ends no socket when it has not',
    async (_what, call) => {
      const live = new ByHandLiveStore()
      const { bridge, bind } = startBridge({ live })
      const { context } = await bindLoaded({ bind }, live, stored(record()))
      live.destroyed = () => Promise.reject(new Error('down'))
      await expect(call(bridge, context)).rejects.toThrow(StoreUnavailableError)
      expect(context.ended).toBeUndefined()
      const gate = createGate()
      live.destroyed = () => gate.wait()
      const done = vi.fn()
      const destroying = call(bridge, context).then(done)
      await gate.arrived
      await rest()
      expect(done).not.toHaveBeenCalled()
      expect(context.ended).toBeUndefined()
      gate.open()
      await destroying
      expect(context.ended?.reason).toBe('destroyed')
    },
  )
})

describe('touch()', () => {
  it('puts off the expiry in the store', async () => {
    const store = new TtlStore()
    const { bind } = startBridge({ store })
    store.set('id', record({}, 60_000))
    const { context } = await bind('id')
    const kept = store.data.get('id')!
    kept.expiresAt -= 30_000
    await context.touch()
    expect(kept.expiresAt).toBeGreaterThan(Date.now() + 59_000)
  })

  it('rejects for a session that is gone, and ends its sockets', async () => {
    const store = new TtlStore()
    const { bind } = startBridge({ store })
    store.set('id', record({}, 60_000))
    const { context } = await bind('id')
    await rest()
    store.data.delete('id')
    await expect(context.touch()).rejects.toThrow(SessionEndedError)
    expect(context.ended?.reason).toBe('destroyed')
    expect(store.data.size).toBe(0)
  })
})

describe('a record whose own date is stale, in a store whose touch moves only its expiry', () => {
  function startStale() {
    const store = new TtlStore()
    const { bridge, bind } = startBridge({ store })
    // For an hour it has been touched: the record's date lies in the past, the session is alive.
    const json = JSON.stringify(record({ views: 0 }, 60_000, -3_600_000))
    store.data.set('id', { json, expiresAt: Date.now() + 50_000 })
    return { store, bridge, bind }
  }

  it('is not deleted by update()', async () => {
    const { store, bind, bridge } = startStale()
    const { context } = await bind('id')
    expect(await context.update(increment)).toMatchObject({ views: 1 })
    expect(await bridge.update('id', increment)).toMatchObject({ views: 2 })
    expect(store.data.get('id')?.expiresAt).toBeGreaterThan(Date.now() + 59_000)
    expect(context.ended).toBeUndefined()
  })

  it('is not deleted by touch()', async () => {
    const { store, bind } = startStale()
    const { context } = await bind('id')
    await context.touch()
    expect(store.data.get('id')?.expiresAt).toBeGreaterThan(Date.now() + 59_000)
    expect(context.ended).toBeUndefined()
  })

  it('is not deleted by what a message does', async () => {
    const { store, bind } = startStale()
    const { context, connection } = await bind('id')
    connection.message()
    await until(() => (store.data.get('id')?.expiresAt ?? 0) > Date.now() + 59_000)
    expect(context.ended).toBeUndefined()
  })
})
