import { once } from 'node:events'
import type { SessionData } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import type { SessionContext, SessionSnapshot } from 'ws-session-bridge'
import { startApp } from '../support/app.js'
import { open } from '../support/client.js'
import { createGate, type Gate } from '../support/gate.js'
import { done, record, rest, startBridge, until } from './bound.js'
import { bindLoaded, ByHandLiveStore, stored } from './by-hand-live-store.js'
import { connect } from './connected.js'

/** What a context and its bridge tell of changes. */
function hear(bridge: ReturnType<typeof startBridge>['bridge'], context: SessionContext) {
  const byContext: [SessionSnapshot, SessionSnapshot][] = []
  const byBridge: [SessionContext, SessionSnapshot][] = []
  context.on('change', (...change) => byContext.push(change))
  bridge.on('change', (...change) => byBridge.push(change))
  return { byContext, byBridge }
}

describe('a changed session', () => {
  it('is told by context and bridge, with the session before it', async () => {
    const { bridge, store, bind } = startBridge()
    await done((callback) => store.set('id', record({ user: 'ada' }), callback))
    const { context } = await bind('id')
    const before = context.session
    const { byContext, byBridge } = hear(bridge, context)
    const change = once(context, 'change')
    store.set('id', record({ user: 'grace', role: 'admin' }))
    await change
    expect(byContext).toEqual([[context.session, before]])
    expect(byBridge).toEqual([[context, before]])
    expect(byContext[0]?.[0]).toBe(context.session)
    expect(byContext[0]?.[1]).toBe(before)
    expect(context.session).toMatchObject({ user: 'grace', role: 'admin' })
    expect(before).toMatchObject({ user: 'ada' })
  })

  it('is another object, frozen all the way down', async () => {
    const { store, bind } = startBridge()
    const nested = (user: string) => ({ ...record({ user }), list: [{ deep: true }] })
    store.set('id', nested('ada'))
    const { context } = await bind('id')
    const before = context.session
    store.set('id', nested('grace'))
    await once(context, 'change')
    expect(context.session).not.toBe(before)
    const session = context.session as SessionSnapshot & { list: { deep: boolean }[] }
    for (const part of [session, session.cookie, session.list, session.list[0]])
      expect(Object.isFrozen(part)).toBe(true)
  })

  it('is one object for all sockets of the session', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const contexts = []
    for (let tab = 0; tab < 3; tab += 1) contexts.push((await connect(app, cookie)).context)
    expect(new Set(contexts.map(({ session }) => session)).size).toBe(1)
    const changes = contexts.map((context) => once(context, 'change'))
    await app.call('POST', '/set?key=role&value=admin', cookie)
    await Promise.all(changes)
    expect(new Set(contexts.map(({ session }) => session)).size).toBe(1)
    expect(contexts[0]?.session.role).toBe('admin')
  })

  it('is asked of the store once by each of two tabs that open together', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const get = vi.spyOn(app.store, 'get')
    await Promise.all([open(app.wsUrl, { cookie }), open(app.wsUrl, { cookie })])
    expect(get).toHaveBeenCalledTimes(2)
    expect(new Set([...app.bridge.connections()].map(({ session }) => session)).size).toBe(1)
  })

  it('is the same object for as long as nothing moves', async () => {
    const live = new ByHandLiveStore()
    const { bridge, bind } = startBridge({ live })
    const { context } = await bindLoaded({ bind }, live, stored(record({ user: 'ada' })))
    const { session } = context
    for (let check = 0; check < 3; check += 1) {
      bridge.check('id')
      for (const get of live.gets.splice(0)) get.answer(stored(record({ user: 'ada' })))
      await rest()
    }
    expect(context.session).toBe(session)
  })

  it('is told to each of its sockets, and counted by none of another session', async () => {
    const { bridge, store, bind } = startBridge()
    for (const id of ['one', 'other']) store.set(id, record({ user: 'ada' }))
    const contexts = [(await bind('one')).context, (await bind('one')).context]
    await bind('other')
    const told: SessionContext[] = []
    bridge.on('change', (context) => told.push(context))
    store.set('one', record({ user: 'grace' }))
    await rest()
    expect(told).toEqual(contexts)
  })

  it('is told in order to hundreds of sockets, while some of them leave', async () => {
    const { bridge, store, bind } = startBridge()
    store.set('id', record({ views: 0 }))
    const bound = []
    for (let index = 0; index < 350; index += 1) bound.push(await bind('id'))
    await rest()
    const heard = bound.map(({ context }) => {
      const views: (number | undefined)[] = []
      context.on('change', (session, previous) => views.push(previous.views, session.views))
      return views
    })
    for (let views = 1; views <= 5; views += 1) {
      await bridge.update('id', (draft) => void (draft.views = views))
      // The last ones take the places of the first ones that leave.
      bound[views]?.connection.disappear()
    }
    await rest()
    for (const views of heard.slice(10)) {
      // Each hears of the last one, and of the others in order: changes that come while others are told of one are merged.
      expect([views[0], views.at(-1)]).toEqual([0, 5])
      for (let index = 1; index < views.length - 1; index += 2) expect(views[index + 1]).toBe(views[index])
    }
  })

  it('is not told to a socket that a listener has ended, and authorize is not asked about it', async () => {
    const authorize = vi.fn(() => true)
    const { bridge, store, bind } = startBridge({ authorize })
    store.set('id', record({ user: 'ada' }))
    const [one, other] = [await bind('id'), await bind('id')]
    authorize.mockClear()
    one.context.on('change', () => bridge.disconnect(() => true))
    const { byContext, byBridge } = hear(bridge, other.context)
    store.set('id', record({ user: 'grace' }))
    await rest()
    expect(other.context.ended?.reason).toBe('disconnected')
    expect(byContext).toEqual([])
    expect(byBridge.map(([context]) => context)).toEqual([one.context])
    expect(authorize).not.toHaveBeenCalled()
  })

  it('is read no more once its last socket has gone, though a check was asked for meanwhile', async () => {
    const live = new ByHandLiveStore()
    const { bridge, bind } = startBridge({ live })
    const { connection } = await bindLoaded({ bind }, live, stored(record()))
    const check = live.gets.shift()
    bridge.check('id')
    connection.disappear()
    check?.answer(stored(record()))
    await rest()
    expect(live.gets).toEqual([])
  })
})

describe('what is no change', () => {
  const data = { user: 'ada', role: 'guest', nested: { a: 1, b: [1, 2] } }
  const reordered = { nested: { b: [1, 2], a: 1 }, role: 'guest', user: 'ada' }

  it.each<
    [
      string,
      (store: ReturnType<typeof startBridge>['store'], bridge: ReturnType<typeof startBridge>['bridge']) => unknown,
    ]
  >([
    ['a touch', (store) => store.touch?.('id', record(data, 90_000))],
    ['the same data once more', (store) => store.set('id', record(data, 60_000))],
    ['the same data with its keys in another order', (store) => store.set('id', record(reordered, 60_000))],
    ['another expiry', (store) => store.set('id', record(data, 3_600_000))],
    ['a check', (_store, bridge) => bridge.check('id')],
    ['a check of everything', (_store, bridge) => bridge.check()],
    ['a session of another ID', (store) => store.set('other', record({ user: 'bob' }))],
    ["the bridge's own touch", (_store, bridge) => [...bridge.connections()][0]?.touch()],
    ['an update that changes nothing', (_store, bridge) => bridge.update('id', () => undefined)],
  ])('is %s: no listener is told, and authorize is not asked', async (_what, act) => {
    const authorize = vi.fn(() => true)
    const { bridge, store, bind } = startBridge({ authorize })
    store.set('id', record(data, 60_000))
    const { context } = await bind('id')
    await rest()
    authorize.mockClear()
    const { byContext, byBridge } = hear(bridge, context)
    await act(store, bridge)
    await rest()
    expect(byContext).toEqual([])
    expect(byBridge).toEqual([])
    expect(authorize).not.toHaveBeenCalled()
    expect(context.session).toMatchObject(data)
  })

  it('moves the expiry in the snapshot all the same when it is a touch', async () => {
    const { store, bind } = startBridge()
    store.set('id', record({}, 60_000))
    const { context } = await bind('id')
    const touched = record({}, 90_000)
    store.touch?.('id', touched)
    await until(() => context.session.cookie.expires === (touched.cookie as unknown as { expires: string }).expires)
  })

  it('is the millisecond by which express-session’s own touch moves the maxAge now and then', async () => {
    const app = await startApp({ session: { cookie: { maxAge: 60_000 } }, bridge: { keepAlive: 'never' } })
    const cookie = await app.login('ada')
    const { context } = await connect(app, cookie)
    const { byContext } = hear(app.bridge, context)
    const now = Date.now
    let late = 0
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() + (late += 1))
    await app.call('GET', '/me', cookie)
    clock.mockRestore()
    // The touch itself tells the date alone.
    app.bridge.check(context.sessionID)
    await rest()
    expect(context.session.cookie.originalMaxAge).not.toBe(60_000)
    expect(byContext).toEqual([])
  })
})

describe('authorize, asked again', () => {
  /** Each question waits for its gate; the role decides. */
  async function startAsking() {
    const gates: Gate[] = []
    const live = new ByHandLiveStore()
    const parts = startBridge({
      live,
      authorize: async ({ role }, request) => {
        if (request === undefined) {
          const gate = createGate()
          gates.push(gate)
          await gate.wait()
        }
        if (role === 'broken') throw new Error('no idea')
        return role === 'admin'
      },
    })
    const bound = parts.bind('id')
    await until(() => live.gets.length === 1)
    live.gets.shift()?.answer(stored(record({ role: 'admin' })))
    const { context } = await bound
    /** The store says so from now on. */
    const becomes = async (data: Partial<SessionData>): Promise<void> => {
      live.report('id')
      await until(() => live.gets.length > 0)
      while (live.gets.length > 0) {
        for (const get of live.gets.splice(0)) get.answer(stored(record(data)))
        await rest(2)
      }
    }
    await becomes({ role: 'admin' })
    return { ...parts, context, gates, becomes }
  }

  it('ends the socket when it says no, however fast the session goes on changing', async () => {
    const { context, gates, becomes } = await startAsking()
    for (let views = 0; views < 5; views += 1) await becomes({ role: 'guest', views })
    // One question at a time: only the first is ever answered.
    expect(gates).toHaveLength(1)
    gates[0]?.open()
    await until(() => context.ended !== undefined)
    expect(context.ended?.reason).toBe('forbidden')
  })

  it('is asked once of what the session is, however often it is read before it has answered', async () => {
    const { context, gates, becomes } = await startAsking()
    await becomes({ role: 'guest' })
    for (let looks = 0; looks < 5; looks += 1) await becomes({ role: 'guest' })
    expect(gates).toHaveLength(1)
    expect(context.ended).toBeUndefined()
    gates[0]?.open()
    await until(() => context.ended !== undefined)
    expect(context.ended?.reason).toBe('forbidden')
  })

  it('is asked once more, about what the session is then, where it has changed before the answer', async () => {
    const { context, gates, becomes } = await startAsking()
    for (let views = 0; views < 5; views += 1) await becomes({ role: 'admin', views })
    expect(gates).toHaveLength(1)
    gates[0]?.open()
    await rest()
    expect(gates).toHaveLength(2)
    gates[1]?.open()
    await rest()
    expect(gates).toHaveLength(2)
    expect(context.ended).toBeUndefined()
  })

  it('counts as a check that failed when it throws, and is asked again', async () => {
    const { context, gates, becomes, faults } = await startAsking()
    await becomes({ role: 'broken' })
    gates[0]?.open()
    await until(() => faults.length === 1)
    expect(context.ended).toBeUndefined()
    // Tried again by itself, after a pause.
    const again = becomes({ role: 'guest' })
    await until(() => gates.length >= 2)
    for (const gate of gates) gate.open()
    await again
    await until(() => context.ended !== undefined)
    expect(context.ended?.reason).toBe('forbidden')
  })

  it('is asked again where it threw for one of two sockets, and the change is told once', async () => {
    let broken = true
    const { bridge, store, bind } = startBridge({
      authorize: ({ role }, request, { at }) => {
        if (request !== undefined) return true
        if (broken && at === 0) throw new Error('no idea')
        return role === 'admin' || at !== 0
      },
    })
    store.set('id', record({ role: 'admin' }))
    const [one, other] = [await bind('id'), await bind('id')]
    Object.defineProperty(other.context, 'handshake', { value: { ...other.context.handshake, at: 0 } })
    const { byContext } = hear(bridge, other.context)
    store.set('id', record({ role: 'guest' }))
    await rest()
    expect(other.context.ended).toBeUndefined()
    broken = false
    // Tried again by itself, after a pause.
    await until(() => other.context.ended !== undefined)
    expect(other.context.ended?.reason).toBe('forbidden')
    expect(one.context.ended).toBeUndefined()
    expect(byContext).toHaveLength(1)
  })

  it('is asked one question at a time for a connection, and about the newest session alone, of hundreds that come and change', async () => {
    let open = 0
    let most = 0
    let questions = 0
    const { store, bind } = startBridge({
      authorize: async (_session, request) => {
        if (request !== undefined) return true
        questions += 1
        open += 1
        most = Math.max(most, open)
        await rest(5)
        open -= 1
        return true
      },
    })
    store.set('id', record({ views: 0 }))
    for (let index = 0; index < 150; index += 1) await bind('id')
    await rest()
    for (let views = 1; views <= 100; views += 1) {
      store.set('id', record({ views }))
      await new Promise(setImmediate)
    }
    await rest(60)
    expect(most).toBeLessThanOrEqual(150)
    // Of 15,000, if each change were asked about.
    expect(questions).toBeLessThan(5_000)
    expect(open).toBe(0)
  })
})
