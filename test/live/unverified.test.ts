import { beforeEach, describe, expect, it, vi } from 'vitest'
import { startApp } from '../support/app.js'
import { createGate, gatedStore } from '../support/gate.js'
import { record, rest, startBridge, stopClocks, until } from './bound.js'
import { connect, endOf } from './connected.js'
import { TtlStore } from './ttl-store.js'

/** What a store can do instead of answering. */
const failures: [string, (...args: unknown[]) => unknown][] = [
  ['answers with an error', (...args) => (args.at(-1) as (error: Error) => void)(new Error('down'))],
  [
    'throws',
    () => {
      throw new Error('down')
    },
  ],
  ['never answers', () => undefined],
]

describe('a store that is away', () => {
  let turn: ReturnType<typeof stopClocks>
  const pass = (ms: number, stepMs = 250): Promise<void> => turn(ms, stepMs)
  beforeEach(() => {
    turn = stopClocks()
  })

  async function startWith(fail: (...args: unknown[]) => unknown) {
    const store = new TtlStore()
    const parts = startBridge({ store, unverifiedMs: 60_000 })
    store.set('id', record({ user: 'ada' }))
    const bound = await parts.bind('id')
    await rest()
    const { get } = store
    const failing = vi.fn(fail)
    return {
      ...parts,
      ...bound,
      store,
      failing,
      goesAway: () => Object.assign(store, { get: failing }),
      comesBack: () => Object.assign(store, { get }),
    }
  }

  describe.each(failures)('and %s', (_what, fail) => {
    it('ends no socket when it is back within unverifiedMs', async () => {
      const { bridge, context, connection, goesAway, comesBack, faults } = await startWith(fail)
      for (let outage = 0; outage < 3; outage += 1) {
        goesAway()
        bridge.check('id')
        await pass(50_000)
        comesBack()
        await pass(30_000)
      }
      expect(context.ended).toBeUndefined()
      expect(connection.closings).toEqual([])
      expect(faults).toEqual([])
    })

    it('ends the sockets with 1013 when it is away for longer', async () => {
      const { bridge, context, connection, goesAway } = await startWith(fail)
      goesAway()
      bridge.check('id')
      await pass(59_000)
      expect(context.ended).toBeUndefined()
      // A store that never answers is known to be away when the deadline of a call has passed, at the first and at the last.
      await pass(12_000)
      expect(context.ended).toEqual({ reason: 'unverified', code: 1013 })
      expect(connection.closings).toEqual([{ code: 1013, reason: 'unverified' }])
      expect(bridge.stats()).toMatchObject({ sockets: 0, sessions: 0, ended: { unverified: 1 } })
    })

    it('ends them with 4401 when it comes back without the session', async () => {
      const { bridge, store, context, goesAway, comesBack } = await startWith(fail)
      goesAway()
      bridge.check('id')
      await pass(20_000)
      store.data.delete('id')
      comesBack()
      await pass(30_000)
      expect(context.ended).toEqual({ reason: 'destroyed', code: 4401 })
    })

    it('is found to be away without any report, by revalidation', async () => {
      const { context, goesAway } = await startWith(fail)
      goesAway()
      await pass(100_000)
      expect(context.ended?.reason).toBe('unverified')
    })

    it('is asked with growing pauses, not more often the longer it is away', async () => {
      const { bridge, goesAway, failing } = await startWith(fail)
      goesAway()
      const calls: number[] = []
      for (let ten = 0; ten < 5; ten += 1) {
        failing.mockClear()
        if (ten === 0) bridge.check('id')
        await pass(10_000, 50)
        calls.push(failing.mock.calls.length)
      }
      expect(calls[0]).toBeGreaterThanOrEqual(2)
      expect(calls[0]).toBeLessThanOrEqual(15)
      expect(Math.max(...calls.slice(2))).toBeLessThanOrEqual(4)
      expect(Math.min(...calls)).toBeGreaterThanOrEqual(0)
    })
  })

  it('ends the sockets when their time is up, even while a read hangs', async () => {
    const store = new TtlStore()
    const parts = startBridge({ store, unverifiedMs: 12_000, handshakeTimeoutMs: 5_000 })
    store.set('id', record())
    const { context } = await parts.bind('id')
    await rest()
    // The first check fails at once; every later one hangs until its deadline.
    const hangs = vi.fn()
    const failing = vi.fn(failures[0]![1])
    Object.assign(store, {
      get: (...args: unknown[]) => {
        if (failing.mock.calls.length === 0) failing(...args)
        else hangs()
      },
    })
    parts.bridge.check('id')
    await rest()
    await pass(11_750)
    expect(hangs).toHaveBeenCalled()
    expect(context.ended).toBeUndefined()
    await pass(500)
    expect(context.ended).toEqual({ reason: 'unverified', code: 1013 })
  })

  it.each([
    { chance: 0, pauses: [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] },
    { chance: 1, pauses: [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000] },
  ])(
    'is asked again after pauses that double up to ten seconds, of which chance ($chance) leaves half or more',
    async ({ chance, pauses }) => {
      vi.spyOn(Math, 'random').mockReturnValue(chance)
      const { bridge, goesAway, failing } = await startWith(failures[0]![1])
      goesAway()
      const askedAt: number[] = []
      failing.mockImplementation((...args) => {
        askedAt.push(Date.now())
        return failures[0]![1](...args)
      })
      bridge.check('id')
      await rest()
      await pass(33_000, 50)
      const found = askedAt.slice(1).map((at, index) => at - askedAt[index]!)
      expect(found.slice(0, pauses.length)).toEqual(pauses)
    },
  )

  it.each([
    ['as it was', 'ada'],
    ['with another session', 'grace'],
  ])('starts a new count when it was back in between, %s', async (_what, user) => {
    const { bridge, store, context, goesAway, comesBack } = await startWith(failures[0]![1])
    goesAway()
    bridge.check('id')
    await pass(40_000)
    store.set('id', record({ user }))
    comesBack()
    await pass(11_000)
    goesAway()
    bridge.check('id')
    await pass(59_000)
    expect(context.ended).toBeUndefined()
    await pass(12_000)
    expect(context.ended?.reason).toBe('unverified')
  })

  it('is asked again soon, however long the pauses had become before it was back', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(1)
    const { bridge, goesAway, comesBack, failing } = await startWith(failures[0]![1])
    goesAway()
    bridge.check('id')
    await pass(20_000)
    comesBack()
    await pass(11_000)
    goesAway()
    failing.mockClear()
    bridge.check('id')
    await rest()
    await pass(100)
    expect(failing).toHaveBeenCalledTimes(2)
  })

  it('is asked again soon, however often something was heard of it while it was away', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(1)
    const { bridge, goesAway, comesBack, store, context } = await startWith(failures[0]![1])
    goesAway()
    for (let heard = 0; heard < 40; heard += 1) {
      bridge.check('id')
      await pass(50, 50)
    }
    store.data.delete('id')
    comesBack()
    // Not longer than it was away.
    await pass(2_000)
    expect(context.ended?.reason).toBe('destroyed')
  })

  it('starts a new count for a socket that comes when it was back, though the one that was there has left', async () => {
    const { store, hold } = gatedStore(new TtlStore())
    const { get } = store
    const app = await startApp({ store, bridge: { unverifiedMs: 60_000 } })
    const cookie = await app.login('ada')
    const { client } = await connect(app, cookie)
    Object.assign(store, { get: failures[0]![1] })
    app.bridge.check()
    await pass(55_000)
    Object.assign(store, { get })
    const answer = hold('get', 'answer')
    const connecting = connect(app, cookie)
    await answer.arrived
    client.ws.terminate()
    await until(() => app.bridge.stats().sockets === 0)
    answer.open()
    const { context } = await connecting
    Object.assign(store, { get: failures[0]![1] })
    await pass(20_000)
    expect(context.ended).toBeUndefined()
    app.bridge.check()
    await pass(72_000)
    expect(context.ended?.reason).toBe('unverified')
  })

  it('is not asked while it says that it is disconnected, and everything is checked when it is back', async () => {
    const { store, context, bridge } = await startWith(failures[0]![1])
    const get = vi.spyOn(store, 'get')
    store.emit('disconnect')
    bridge.check('id')
    await pass(20_000)
    expect(get).not.toHaveBeenCalled()
    expect(context.ended).toBeUndefined()
    store.data.delete('id')
    store.emit('connect')
    await rest()
    expect(context.ended?.reason).toBe('destroyed')
  })

  it('is not what ends a demoted socket whose authorize never answers: that is told, and ends it with 1013', async () => {
    const { store, bind, faults } = startBridge({
      unverifiedMs: 60_000,
      // A request comes with the handshake alone.
      authorize: (_session, request) => request !== undefined || new Promise(() => undefined),
    })
    store.set('id', record({ role: 'admin' }))
    const { context, connection } = await bind('id')
    await rest()
    store.set('id', record({ role: 'nobody' }))
    await pass(59_000)
    expect(context.ended).toBeUndefined()
    expect(faults[0]).toMatchObject({ message: 'Option `authorize` did not answer in time.' })
    await pass(20_000)
    expect(connection.closings).toEqual([{ code: 1013, reason: 'unverified' }])
  })

  it('ends every socket with 1013 when it stays disconnected', async () => {
    const { store, context } = await startWith(failures[0]![1])
    store.emit('disconnect')
    await pass(100_000)
    expect(context.ended?.reason).toBe('unverified')
  })

  it('can be told apart from a session that is gone by the write that finds it', async () => {
    const { context, goesAway } = await startWith(failures[0]![1])
    goesAway()
    await expect(context.update(() => undefined)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(context.ended).toBeUndefined()
  })
})

describe('a socket whose session cannot be checked', () => {
  it('still gets its messages through, and is closed with 1013 after unverifiedMs', async () => {
    const app = await startApp({
      bridge: { unverifiedMs: 3_000, keepAlive: 'never' },
      onConnection(ws, _request, context) {
        ws.on('message', () => ws.send(String(context.session.user)))
      },
    })
    const { client, context } = await connect(app, await app.login('ada'))
    vi.spyOn(app.store, 'get').mockImplementation((_id, callback) => callback(new Error('down')))
    app.bridge.check()
    await rest()
    client.ws.send('still there?')
    expect(await client.next()).toBe('ada')
    expect(await client.closed).toEqual({ code: 1013, reason: 'unverified' })
    expect(context.ended).toEqual({ reason: 'unverified', code: 1013 })
  })
})

describe('a session that could not be checked before its last socket left', () => {
  it('has all of unverifiedMs again once a handshake has read it', async () => {
    const pass = stopClocks()
    const app = await startApp({ bridge: { unverifiedMs: 60_000, keepAlive: 'never' } })
    const cookie = await app.login('ada')
    const { client, context } = await connect(app, cookie)
    const get = app.store.get.bind(app.store)
    const down = (_sessionID: string, callback: (error: Error) => void): void => callback(new Error('down'))
    const spy = vi.spyOn(app.store, 'get').mockImplementation(down)
    app.bridge.check()
    await pass(50_000)
    const gate = createGate()
    spy.mockImplementation((...call) => void gate.wait().then(() => get(...call)))
    const connecting = connect(app, cookie)
    await gate.arrived
    client.ws.close()
    await endOf(context)
    gate.open()
    const later = await connecting
    spy.mockImplementation(down)
    app.bridge.check()
    await pass(50_000)
    expect(later.context.ended).toBeUndefined()
    await pass(20_000)
    expect(later.context.ended?.reason).toBe('unverified')
  })
})

describe('an authorize that throws for a connected socket', () => {
  it('is a fault, counts as a check that failed, and ends the socket with 1013 in the end', async () => {
    let broken = false
    const app = await startApp({
      bridge: {
        unverifiedMs: 1_500,
        authorize: () => {
          if (broken) throw new Error('the directory is down')
          return true
        },
      },
    })
    const cookie = await app.login('ada')
    const { client } = await connect(app, cookie)
    broken = true
    await app.call('POST', '/set?key=role&value=guest', cookie)
    expect(await client.closed).toEqual({ code: 1013, reason: 'unverified' })
    expect(app.faults.length).toBeGreaterThanOrEqual(2)
  })

  it('leaves the socket open when it works again in time', async () => {
    let broken = false
    const asked: unknown[] = []
    const app = await startApp({
      bridge: {
        authorize: ({ role }) => {
          asked.push(role)
          if (broken) throw new Error('the directory is down')
          return true
        },
      },
    })
    const cookie = await app.login('ada')
    const { context } = await connect(app, cookie)
    broken = true
    await app.call('POST', '/set?key=role&value=guest', cookie)
    await until(() => app.faults.length > 0)
    broken = false
    const before = asked.length
    await until(() => asked.length > before)
    await rest()
    expect(asked.at(-1)).toBe('guest')
    expect(context.ended).toBeUndefined()
  })
})

describe('a socket that leaves before authorize has answered about it', () => {
  type Answer = () => boolean | Promise<boolean>

  /** The first socket's question gets that answer; the second socket is permitted. */
  async function startWithTwo(answer: Answer) {
    const pass = stopClocks()
    let isOpen = false
    const app = await startApp({
      bridge: {
        unverifiedMs: 60_000,
        keepAlive: 'never',
        authorize: (_session, _request, { url }) => !isOpen || !url.includes('first') || answer(),
      },
    })
    const cookie = await app.login('ada')
    const first = await connect({ ...app, wsUrl: `${app.wsUrl}?first` }, cookie)
    const second = await connect(app, cookie)
    isOpen = true
    await app.call('POST', '/set?key=role&value=guest', cookie)
    first.client.ws.terminate()
    await endOf(first.context)
    return { app, pass, second }
  }

  it('is not what ends the others: they are verified again', async () => {
    const { pass, second } = await startWithTwo(() => {
      throw new Error('the directory is down')
    })
    await pass(72_000, 250)
    expect(second.context.ended).toBeUndefined()
  })

  it('is not why a short failure of the store ends the others', async () => {
    const { app, pass, second } = await startWithTwo(() => new Promise(() => undefined))
    const spy = vi.spyOn(app.store, 'get').mockImplementationOnce((_id, callback) => callback(new Error('down')))
    app.bridge.check()
    await rest()
    expect(spy).toHaveBeenCalled()
    await pass(72_000, 250)
    expect(second.context.ended).toBeUndefined()
  })
})
