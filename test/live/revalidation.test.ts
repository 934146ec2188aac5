import { beforeEach, describe, expect, it, vi } from 'vitest'
import { startApp } from '../support/app.js'
import { record, rest, startBridge, stopClocks, until } from './bound.js'
import { connect, sessionIDOf } from './connected.js'
import { TtlStore, type Kept } from './ttl-store.js'

describe('two processes on one database, neither of which hears of the other', () => {
  async function startTwo() {
    const data = new Map<string, Kept>()
    const bridge = { revalidateMs: 100 }
    const here = await startApp({ store: new TtlStore(data), bridge })
    const there = await startApp({ store: new TtlStore(data), bridge })
    const cookie = await here.login('ada')
    return { here, there, cookie, ...(await connect(there, cookie)) }
  }

  it('a change is found within revalidateMs', async () => {
    const { here, cookie, context } = await startTwo()
    await here.call('POST', '/set?key=user&value=grace', cookie)
    await until(() => context.session.user === 'grace')
  })

  it('a logout is found, and closes the socket with 4401', async () => {
    const { here, cookie, client, context } = await startTwo()
    await here.call('POST', '/logout', cookie)
    expect(await client.closed).toEqual({ code: 4401, reason: 'destroyed' })
    expect(context.ended?.reason).toBe('destroyed')
  })

  it('a change that a notification of the store’s own tells of is found at once', async () => {
    const { here, there, cookie, context } = await startTwo()
    await here.call('POST', '/set?key=user&value=grace', cookie)
    there.bridge.check(sessionIDOf(there, cookie))
    await rest()
    expect(context.session.user).toBe('grace')
  })
})

describe('revalidation', () => {
  const periodMs = 30_000

  beforeEach(() => {
    stopClocks()
  })

  async function startMany(count: number) {
    const store = new TtlStore()
    const parts = startBridge({ store, revalidateMs: periodMs })
    const bound = []
    for (let index = 0; index < count; index += 1) {
      store.set(`id ${index}`, record({ views: index }))
      bound.push(await parts.bind(`id ${index}`))
    }
    await rest(10)
    const asked = new Map<string, number>()
    const { get } = store
    let inTurn = 0
    let most = 0
    Object.assign(store, {
      get(...[sessionID, callback]: Parameters<TtlStore['get']>) {
        asked.set(sessionID, (asked.get(sessionID) ?? 0) + 1)
        inTurn += 1
        most = Math.max(most, inTurn)
        get(sessionID, callback)
      },
    })
    /** Turns the clock by `ms`, and tells how many reads came together at most. */
    const pass = async (ms: number, stepMs = 500): Promise<number> => {
      most = 0
      for (let passed = 0; passed < ms; passed += stepMs) {
        inTurn = 0
        vi.advanceTimersByTime(stepMs)
        await rest(4)
      }
      return most
    }
    return { ...parts, store, bound, asked, pass }
  }

  it.each([1, 3, 199, 200, 201, 400, 1_000])(
    'asks for each of %i sessions once in a period, never for more than 200 in one go',
    async (count) => {
      const { asked, pass } = await startMany(count)
      // A period for it to swing in: sessions that come are checked by bind() anyway.
      await pass(periodMs)
      asked.clear()
      for (let period = 1; period <= 3; period += 1) {
        expect(await pass(periodMs)).toBeLessThanOrEqual(200)
        expect(asked.size).toBe(count)
        expect(new Set(asked.values())).toEqual(new Set([period]))
      }
    },
  )

  it('finds within a period what became of a thousand sessions', async () => {
    const { store, bound, pass, bridge } = await startMany(1_000)
    for (let index = 0; index < 1_000; index += 2) store.data.delete(`id ${index}`)
    await pass(periodMs)
    await rest(50)
    expect(bridge.stats()).toMatchObject({ sockets: 500, ended: { destroyed: 500 } })
    expect(bound.every(({ context }, index) => (context.ended === undefined) === (index % 2 === 1))).toBe(true)
  })

  it('asks no store when there are no sockets', async () => {
    const { bound, asked, pass } = await startMany(5)
    for (const { connection } of bound) connection.disappear()
    // The deadlines of the store calls are past by then.
    await pass(periodMs / 3)
    expect(vi.getTimerCount()).toBe(0)
    await pass(periodMs * 3)
    expect(asked.size).toBe(0)
  })

  it('goes on for sessions that come later', async () => {
    const { store, bind, asked, pass } = await startMany(0)
    await pass(periodMs * 2)
    store.set('late', record())
    await bind('late')
    await rest()
    asked.clear()
    await pass(periodMs)
    expect([...asked]).toEqual([['late', 1]])
  })

  it('begins anew when a session comes after the last one has left', async () => {
    const { store, bound, bind, asked, pass } = await startMany(3)
    await pass(periodMs / 2)
    for (const { connection } of bound) connection.disappear()
    store.set('late', record())
    await bind('late')
    await rest()
    asked.clear()
    await pass(periodMs)
    expect([...asked]).toEqual([['late', 1]])
  })

  it('goes on for the last one when the others have left', async () => {
    const { bound, asked, pass } = await startMany(2)
    bound[0]?.connection.disappear()
    await pass(periodMs)
    expect([...asked]).toEqual([['id 1', 1]])
  })

  it('asks once in a period again when most have left', async () => {
    const { bound, asked, pass } = await startMany(401)
    await pass(periodMs)
    for (const { connection } of bound.slice(1)) connection.disappear()
    await pass(periodMs * 2)
    asked.clear()
    await pass(periodMs)
    expect([...asked]).toEqual([['id 0', 1]])
  })

  it('is not put off by sessions that come and go', async () => {
    const { bound, bind, asked, pass } = await startMany(201)
    await pass(periodMs)
    asked.clear()
    let { connection } = bound[200]!
    for (let tenth = 0; tenth < 10; tenth += 1) {
      connection.disappear()
      connection = (await bind('id 200')).connection
      await pass(periodMs / 10)
    }
    for (let index = 0; index < 200; index += 1) expect(asked.get(`id ${index}`)).toBe(1)
  })

  it('finds a logout of another process within two periods, however many other sessions reconnect meanwhile', async () => {
    const { store, bound, bind, pass } = await startMany(241)
    const connections = bound.map(({ connection }) => connection)
    /** Each of the others reconnects twice. */
    const period = async (): Promise<void> => {
      for (let step = 0; step < 20; step += 1) {
        for (let index = 1 + (step % 10); index <= 240; index += 10) {
          connections[index]!.disappear()
          connections[index] = (await bind(`id ${index}`)).connection
        }
        await pass(periodMs / 20)
      }
    }
    await period()
    store.data.delete('id 0')
    await period()
    await period()
    expect(bound[0]!.context.ended?.reason).toBe('destroyed')
  })

  it('makes one check of many reports that come together', async () => {
    const { bridge, asked } = await startMany(1)
    for (let report = 0; report < 100; report += 1) bridge.check('id 0')
    await rest()
    // One is under way, one more may be needed after it.
    expect(asked.get('id 0')).toBeLessThanOrEqual(2)
  })

  it('reads all of a thousand sessions in slices when everything is to be checked', async () => {
    const { bridge, asked, store } = await startMany(1_000)
    const turns: number[] = []
    let before = 0
    bridge.check()
    while (asked.size < 1_000) {
      turns.push(asked.size - before)
      before = asked.size
      await new Promise(setImmediate)
    }
    expect(Math.max(...turns)).toBeLessThanOrEqual(200)
    expect(store.data.size).toBe(1_000)
  })
})
