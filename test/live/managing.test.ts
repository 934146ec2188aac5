import { MemoryStore } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import type { SessionContext } from 'ws-session-bridge'
import { startApp } from '../support/app.js'
import { createGate } from '../support/gate.js'
import { PlainConnection, record, rest, startBridge, stopClocks, until } from './bound.js'
import { bindLoaded, ByHandLiveStore, stored } from './by-hand-live-store.js'
import { connect, endOf, sessionIDOf } from './connected.js'
import { watchTimers } from './open-timers.js'

async function startThree() {
  const app = await startApp()
  const [ada, bob] = [await app.login('ada'), await app.login('bob')]
  return { app, ada, sockets: [await connect(app, ada), await connect(app, ada), await connect(app, bob)] as const }
}

describe('connections()', () => {
  it('are the contexts of the open sockets', async () => {
    const { app, sockets } = await startThree()
    expect(new Set(app.bridge.connections())).toEqual(new Set(sockets.map(({ context }) => context)))
    for (const { context, ws } of sockets) expect(app.bridge.contextOf(ws)).toBe(context)
  })

  it('may be gone through while they end', async () => {
    const { app } = await startThree()
    let seen = 0
    for (const { sessionID } of app.bridge.connections()) {
      seen += 1
      app.bridge.disconnect(sessionID)
    }
    expect(seen).toBe(3)
    expect([...app.bridge.connections()]).toEqual([])
  })

  it('are those that are left, in whatever order the others leave', async () => {
    const { bridge, store, bind } = startBridge()
    store.set('id', record())
    for (const first of [0, 1, 2, 3]) {
      for (const second of [0, 1, 2]) {
        const left = [await bind('id'), await bind('id'), await bind('id'), await bind('id')]
        for (const next of [first, second, 0, 0]) {
          left.splice(next, 1)[0]?.connection.disappear()
          expect(new Set(bridge.connections())).toEqual(new Set(left.map(({ context }) => context)))
          expect(bridge.stats().sockets).toBe(left.length)
        }
      }
    }
  })

  it('are where one sends to every socket of a user', async () => {
    const { app, sockets } = await startThree()
    for (const { session, ws } of app.bridge.connections()) if (session.user === 'ada') ws?.send('for ada')
    expect([await sockets[0].client.next(), await sockets[1].client.next()]).toEqual(['for ada', 'for ada'])
    sockets[2].ws.send('for bob')
    expect(await sockets[2].client.next()).toBe('for bob')
  })
})

describe('disconnect()', () => {
  it('closes the sockets of a session with 1008, says how many, and leaves the session', async () => {
    const { app, ada, sockets } = await startThree()
    expect(app.bridge.disconnect(sessionIDOf(app, ada))).toBe(2)
    expect(await sockets[0].client.closed).toEqual({ code: 1008, reason: 'disconnected' })
    expect(await sockets[1].client.closed).toEqual({ code: 1008, reason: 'disconnected' })
    expect(sockets[2].context.ended).toBeUndefined()
    await connect(app, ada)
  })

  it('closes the sockets that a function says yes to', async () => {
    const { app, sockets } = await startThree()
    expect(app.bridge.disconnect(({ session }) => session.user === 'bob')).toBe(1)
    expect((await sockets[2].client.closed).code).toBe(1008)
    expect(app.bridge.stats()).toMatchObject({ sockets: 2, sessions: 1 })
  })

  it('closes with the code and reason it is given, which a browser reads', async () => {
    const { app, ada, sockets } = await startThree()
    app.bridge.disconnect(sessionIDOf(app, ada), { code: 4000, reason: 'höflich' })
    expect(await sockets[0].client.closed).toEqual({ code: 4000, reason: 'höflich' })
    expect(sockets[0].context.ended).toEqual({ reason: 'disconnected', code: 4000 })
  })

  it('ends and closes a connection once, also where its function has ended it already', async () => {
    const { bridge, store, bind } = startBridge()
    store.set('id', record())
    const bound = await bind('id')
    const ended = vi.fn()
    bound.context.on('end', ended)
    bridge.disconnect(({ sessionID }) => {
      bridge.disconnect(sessionID, { code: 4000 })
      return true
    })
    expect(ended).toHaveBeenCalledExactlyOnceWith({ reason: 'disconnected', code: 4000 })
    expect(bound.connection.closings).toEqual([{ code: 4000, reason: 'disconnected' }])
  })

  it('is 0 for an unknown session, a second time, and when no connection is meant', async () => {
    const { app, ada } = await startThree()
    expect(app.bridge.disconnect('unknown')).toBe(0)
    expect(app.bridge.disconnect(() => false)).toBe(0)
    expect(app.bridge.disconnect(sessionIDOf(app, ada))).toBe(2)
    expect(app.bridge.disconnect(sessionIDOf(app, ada))).toBe(0)
  })

  it.each<[string, object]>([
    ['999', { code: 999 }],
    ['1004', { code: 1004 }],
    ['1005', { code: 1005 }],
    ['1006', { code: 1006 }],
    ['1015', { code: 1015 }],
    ['2999', { code: 2999 }],
    ['5000', { code: 5000 }],
    ['1000.5', { code: 1000.5 }],
    ['"1008"', { code: '1008' }],
    ['NaN', { code: NaN }],
  ])('throws a TypeError for the code %s, and closes no socket', async (_code, close) => {
    const { bridge, store, bind } = startBridge()
    store.set('id', record())
    await bind('id')
    expect(() => bridge.disconnect('id', close)).toThrow(TypeError)
    expect(bridge.stats().sockets).toBe(1)
  })

  it.each([1000, 1003, 1007, 1014, 3000, 4999])(
    'closes with %i, the first or last of those that may be sent',
    async (code) => {
      const { bridge, store, bind } = startBridge()
      store.set('id', record())
      const { connection, context } = await bind('id')
      expect(bridge.disconnect('id', { code })).toBe(1)
      expect(connection.closings).toEqual([{ code, reason: 'disconnected' }])
      expect(context.ended).toEqual({ reason: 'disconnected', code })
    },
  )

  it('throws a TypeError for a reason over 123 bytes, counted in UTF-8, and for one that is no string', async () => {
    const { bridge, store, bind } = startBridge()
    store.set('id', record())
    const { connection } = await bind('id')
    expect(() => bridge.disconnect('id', { reason: 'ü'.repeat(62) })).toThrow(TypeError)
    expect(() => bridge.disconnect('id', { reason: 1 as never })).toThrow(/The close reason must be a string/)
    const longest = `${'ü'.repeat(61)}!`
    expect(bridge.disconnect('id', { reason: longest })).toBe(1)
    expect(connection.closings).toEqual([{ code: 1008, reason: longest }])
  })

  it('throws a TypeError for an option that it does not know, and closes no socket', async () => {
    const { bridge, store, bind } = startBridge()
    store.set('id', record())
    const { connection } = await bind('id')
    expect(() => bridge.disconnect('id', { cod: 4000 } as object)).toThrow(/`cod` is unknown.*code, reason/)
    expect(connection.closings).toEqual([])
  })

  it.each([4000, 'bye', [4000], /4000/, () => 4000, null])(
    'throws a TypeError that says what to pass for %o in place of the options, and closes no socket',
    async (close) => {
      const { bridge, store, bind } = startBridge()
      store.set('id', record())
      const { connection } = await bind('id')
      expect(() => bridge.disconnect('id', close as never)).toThrow(
        expect.objectContaining({
          name: 'TypeError',
          message: 'disconnect: the options must be an object such as { code: 4000 }.',
        }),
      )
      const everywhere = bridge.everywhere.disconnect('id', close as never)
      await expect(everywhere).rejects.toThrow('disconnect: the options must be an object')
      expect(connection.closings).toEqual([])
    },
  )

  it('throws a TypeError that says what to pass where neither an ID nor a function is', () => {
    const { bridge } = startBridge()
    expect(() => bridge.disconnect(undefined as never)).toThrow(/session ID, \{ user \}, or a function/)
  })

  it.each<[string, () => Promise<boolean>]>([
    ['resolves', () => Promise.resolve(true)],
    ['rejects', () => Promise.reject(new Error('not now'))],
  ])(
    'throws a TypeError for a function whose promise %s, which would be truthy for every connection',
    async (_what, which) => {
      const { bridge, store, bind } = startBridge()
      store.set('id', record())
      await bind('id')
      expect(() => bridge.disconnect(which as never)).toThrow(
        expect.objectContaining({ name: 'TypeError', message: expect.stringContaining('disconnect') as string }),
      )
      expect(bridge.stats().sockets).toBe(1)
    },
  )

  it('closes no socket where the function throws', async () => {
    const { bridge, store, bind } = startBridge()
    store.set('id', record())
    await bind('id')
    await bind('id')
    let asked = 0
    const which = (): boolean => {
      if ((asked += 1) === 2) throw new RangeError('the user’s own')
      return true
    }
    expect(() => bridge.disconnect(which)).toThrow(RangeError)
    expect(bridge.stats().sockets).toBe(2)
  })
})

describe('stats()', () => {
  it('counts sockets and sessions now, and what has ended by reason', async () => {
    const { app, sockets } = await startThree()
    expect(app.bridge.stats()).toMatchObject({ pending: 0, sockets: 3, sessions: 2, accepted: 3 })
    sockets[0].client.ws.close()
    await endOf(sockets[0].context)
    expect(app.bridge.stats()).toMatchObject({ sockets: 2, sessions: 2, ended: { closed: 1 } })
    await app.bridge.destroy(sockets[1].context.sessionID)
    expect(app.bridge.stats()).toMatchObject({ sockets: 1, sessions: 1, ended: { closed: 1, destroyed: 1 } })
    app.bridge.disconnect(() => true)
    expect(app.bridge.stats()).toMatchObject({
      sockets: 0,
      sessions: 0,
      ended: { closed: 1, destroyed: 1, disconnected: 1, expired: 0, forbidden: 0, unverified: 0, shutdown: 0 },
    })
  })

  it('is a copy', async () => {
    const { bridge } = startBridge()
    const before = bridge.stats()
    Object.assign(before.ended, { closed: 99 })
    expect(bridge.stats().ended.closed).toBe(0)
  })
})

describe('check()', () => {
  it('finds what was not reported, of one session or of all', async () => {
    const live = new ByHandLiveStore()
    const { bridge, bind } = startBridge({ live })
    const contexts: SessionContext[] = []
    for (const id of ['one', 'other']) {
      const binding = bind(id)
      await until(() => live.gets.length === 1)
      live.gets.shift()?.answer(stored(record({ user: 'ada' })))
      contexts.push((await binding).context)
      live.gets.shift()?.answer(stored(record({ user: 'ada' })))
      await rest()
    }
    bridge.check('one')
    expect(live.gets.splice(0).map(({ sessionID }) => sessionID)).toEqual(['one'])
    bridge.check()
    await rest()
    expect(live.gets.map(({ sessionID }) => sessionID)).toEqual(['other'])
    live.gets[0]?.answer(undefined)
    await endOf(contexts[1]!)
    expect(contexts[0]?.ended).toBeUndefined()
  })

  it.each([null, 7, Buffer.from('id')])('throws a TypeError for %j: a logout must not get lost in it', (sessionID) => {
    const { bridge } = startBridge()
    expect(() => {
      bridge.check(sessionID as never)
    }).toThrow(expect.objectContaining({ name: 'TypeError', message: 'A session ID is a string.' }))
  })

  it('ends nothing by itself, and asks no function about a session without sockets', async () => {
    const { bridge, store, bind } = startBridge()
    store.set('id', record())
    const { context } = await bind('id')
    await rest()
    const get = vi.spyOn(store, 'get')
    bridge.check('unknown')
    await rest()
    expect(get).not.toHaveBeenCalled()
    bridge.check('id')
    bridge.check()
    await rest()
    expect(context.ended).toBeUndefined()
  })

  it('finds a session that came back, whatever a check from before has found since', async () => {
    const live = new ByHandLiveStore()
    const { bridge, bind } = startBridge({ live })
    const bound = []
    const checks = []
    for (let time = 1; time <= 2; time += 1) {
      const binding = bind('id')
      await until(() => live.gets.length === 1)
      live.gets.shift()?.answer(stored(record()))
      bound.push(await binding)
      checks.push(live.gets.shift())
      if (time === 1) bound[0]?.connection.disappear()
    }
    checks[0]?.answer(undefined)
    checks[1]?.answer(stored(record()))
    await rest()
    bridge.check('id')
    expect(live.gets).toHaveLength(1)
    expect([...live.watched]).toEqual([['id', 1]])
  })
})

describe('a fault', () => {
  it('is what a LiveStore tells by onFault', () => {
    let tell: (error: Error) => void = () => undefined
    const live = Object.assign(new ByHandLiveStore(), {
      onFault(listener: typeof tell) {
        tell = listener
      },
    })
    const { faults } = startBridge({ live })
    const lost = new Error('the connection is lost')
    tell(lost)
    expect(faults).toEqual([lost])
  })
})

describe('close()', () => {
  it('leaves no timer, no listener and no hook behind', async () => {
    const store = new MemoryStore()
    const before = { set: store.set, touch: store.touch, destroy: store.destroy, clear: store.clear }
    const listeners = () =>
      [...new Set([...store.eventNames(), 'connect', 'disconnect'])].map((event) => store.listenerCount(event))
    const listenersBefore = listeners()
    const timers = watchTimers()
    const { bridge, bind } = startBridge({ store })
    expect(store.set).not.toBe(before.set)
    store.set('id', record({}, 60_000))
    const { context, connection } = await bind('id')
    await bridge.close()
    expect(connection.closings).toEqual([{ code: 1001, reason: 'shutdown' }])
    expect(context.ended).toEqual({ reason: 'shutdown', code: 1001 })
    expect(store).toMatchObject(before)
    expect(Object.keys(store)).not.toContain('set')
    expect(Object.hasOwn(store, 'set')).toBe(false)
    expect(listeners()).toEqual(listenersBefore)
    await rest()
    expect(timers.count).toBe(0)
    expect(bridge.stats()).toMatchObject({ pending: 0, sockets: 0, sessions: 0 })
  })

  it('closes the LiveStore, once, and unwatches what was watched', async () => {
    const live = new ByHandLiveStore()
    const { bridge, bind } = startBridge({ live })
    await bindLoaded({ bind }, live, stored(record()))
    expect([...live.watched]).toEqual([['id', 1]])
    await Promise.all([bridge.close(), bridge.close()])
    await bridge.close()
    expect(live.closed).toBe(1)
    expect(live.watched.size).toBe(0)
  })

  it('resolves when the LiveStore has closed', async () => {
    const gate = createGate()
    const { bridge } = startBridge({ live: Object.assign(new ByHandLiveStore(), { close: () => gate.wait() }) })
    const closed = vi.fn()
    const closing = bridge.close().then(closed)
    await gate.arrived
    await rest()
    expect(closed).not.toHaveBeenCalled()
    gate.open()
    await closing
  })

  it('says what it has left undone of a store call that hangs: it rejects', async () => {
    const live = new ByHandLiveStore()
    const { bridge } = startBridge({ live })
    const loading = bridge.load('id')
    await bridge.close()
    await expect(loading).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  })

  it('leaves no timer and tells no fault of an authorize that is still being asked', async () => {
    stopClocks()
    const gate = createGate()
    const { bridge, store, bind, faults } = startBridge({
      authorize: async (_session, request) => {
        if (request === undefined) await gate.wait()
        return true
      },
    })
    store.set('id', record({ role: 'admin' }))
    await bind('id')
    store.set('id', record({ role: 'guest' }))
    await gate.arrived
    await bridge.close()
    await rest()
    expect(vi.getTimerCount()).toBe(0)
    expect(faults).toEqual([])
  })

  it('ends a connection that is bound after it', async () => {
    const { bridge, store, authenticate } = startBridge()
    store.set('id', record())
    const [during, after] = [await authenticate('id'), await authenticate('id')]
    const closing = bridge.close()
    const connections = [new PlainConnection(), new PlainConnection()] as const
    bridge.bind(during, connections[0])
    await closing
    bridge.bind(after, connections[1])
    for (const { closings } of connections) expect(closings).toEqual([{ code: 1001, reason: 'shutdown' }])
    expect(after.ended?.reason).toBe('shutdown')
  })

  it('leaves other bridges on the same store at work', async () => {
    const store = new MemoryStore()
    const one = startBridge({ store })
    const other = startBridge({ store })
    store.set('id', record())
    const { context } = await other.bind('id')
    await one.bridge.close()
    store.destroy('id')
    expect((await endOf(context)).reason).toBe('destroyed')
  })
})
