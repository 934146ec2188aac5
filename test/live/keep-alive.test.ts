import { once } from 'node:events'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { KeepAliveMode } from 'ws-session-bridge'
import { startApp } from '../support/app.js'
import { record, rest, startBridge, stopClocks, until, type Bound } from './bound.js'
import { bindFound, ByHandLiveStore, stored } from './by-hand-live-store.js'
import { connect } from './connected.js'
import { TtlStore } from './ttl-store.js'

/** A bridge on a store whose touches are counted. */
function start(keepAlive?: KeepAliveMode) {
  const store = new TtlStore()
  const touch = vi.fn(store.touch)
  Object.assign(store, { touch })
  return { ...startBridge({ store, keepAlive, revalidateMs: 2 ** 31 - 1 }), store, touch }
}

describe('keepAlive', () => {
  let pass: ReturnType<typeof stopClocks>
  beforeEach(() => {
    pass = stopClocks()
  })

  it("'messages' is the default: the first touches at once, then one in a minute does", async () => {
    const { store, bind, touch } = start()
    store.set('id', record({}, 3_600_000))
    const { connection } = await bind('id')
    await rest()
    expect(touch).not.toHaveBeenCalled()
    connection.message()
    await rest()
    expect(touch).toHaveBeenCalledTimes(1)
    expect(store.data.get('id')?.expiresAt).toBe(Date.now() + 3_600_000)
    for (let second = 0; second < 59; second += 1) {
      await pass(1_000)
      connection.message()
    }
    await rest()
    expect(touch).toHaveBeenCalledTimes(1)
    await pass(1_000)
    connection.message()
    await rest()
    expect(touch).toHaveBeenCalledTimes(2)
  })

  it("'messages' touches once in a quarter of a short maxAge", async () => {
    const { store, bind, touch } = start('messages')
    store.set('id', record({}, 8_000))
    const { connection, context } = await bind('id')
    for (let half = 0; half < 40; half += 1) {
      connection.message()
      await pass(500)
    }
    expect(context.ended).toBeUndefined()
    expect(touch).toHaveBeenCalledTimes(10)
  })

  it("'messages' throttles for a session, not for each of its sockets", async () => {
    const { store, bind, touch } = start('messages')
    store.set('id', record({}, 3_600_000))
    store.set('other', record({}, 3_600_000))
    for (let tab = 0; tab < 5; tab += 1) {
      const { connection } = await bind('id')
      connection.message()
    }
    await rest()
    expect(touch).toHaveBeenCalledTimes(1)
    const { connection } = await bind('other')
    connection.message()
    await rest()
    expect(touch.mock.calls.map(([sessionID]) => sessionID)).toEqual(['id', 'other'])
  })

  it("'messages' lets a silent session expire", async () => {
    const { store, bind, touch } = start('messages')
    store.set('id', record({}, 60_000))
    const { context } = await bind('id')
    await pass(60_000)
    expect(context.ended?.reason).toBe('expired')
    expect(touch).not.toHaveBeenCalled()
  })

  it("'messages' touches a session that does not expire once in a minute, too", async () => {
    const { store, bind, touch } = start('messages')
    store.set('id', record())
    const { connection } = await bind('id')
    for (let second = 0; second < 61; second += 1) {
      connection.message()
      await pass(1_000)
    }
    expect(touch).toHaveBeenCalledTimes(2)
  })

  it("'messages' revives no session: a message of a session that is gone ends its sockets", async () => {
    const { store, bind } = start('messages')
    store.set('id', record({}, 60_000))
    const { connection, context } = await bind('id')
    await rest()
    store.data.delete('id')
    connection.message()
    await rest()
    expect(context.ended?.reason).toBe('destroyed')
    expect(store.data.size).toBe(0)
  })

  it("'connected' keeps a session for as long as it has a socket, and no longer", async () => {
    const { store, bind, touch } = start('connected')
    store.set('id', record({}, 40_000))
    const { connection, context } = await bind('id')
    for (let second = 0; second < 400; second += 1) await pass(1_000)
    expect(context.ended).toBeUndefined()
    expect(touch.mock.calls.length).toBeGreaterThanOrEqual(39)
    expect(touch.mock.calls.length).toBeLessThanOrEqual(41)
    connection.disappear()
    touch.mockClear()
    await pass(60_000)
    expect(touch).not.toHaveBeenCalled()
    expect(store.data.get('id')?.expiresAt).toBeLessThan(Date.now())
  })

  it("'connected' touches first when a quarter of maxAge has passed, and looks at nothing before", async () => {
    const { store, bind, touch } = start('connected')
    await pass(7_000)
    store.set('id', record({}, 40_000))
    await bind('id')
    await rest()
    const get = vi.spyOn(store, 'get')
    await pass(9_999)
    expect(touch).not.toHaveBeenCalled()
    expect(get).not.toHaveBeenCalled()
    await pass(1)
    expect(touch).toHaveBeenCalledTimes(1)
  })

  it("'connected' is not put off by connections that come later", async () => {
    const { store, bind, touch } = start('connected')
    store.set('id', record({}, 40_000))
    await bind('id')
    await pass(6_000)
    await bind('id')
    await pass(4_000)
    expect(touch).toHaveBeenCalledTimes(1)
  })

  it("'connected' touches at once where the session would not last to the first one", async () => {
    const { store, bind, touch } = start('connected')
    store.set('id', record({}, 40_000))
    await pass(39_000)
    const { context } = await bind('id')
    await pass(1)
    expect(touch).toHaveBeenCalledTimes(1)
    await pass(5_000)
    expect(context.ended).toBeUndefined()
  })

  it("'never' touches nothing, whatever is sent", async () => {
    const { store, bind, touch } = start('never')
    store.set('id', record({}, 60_000))
    const { connection, context } = await bind('id')
    for (let second = 0; second < 59; second += 1) {
      connection.message()
      await pass(1_000)
    }
    expect(context.ended).toBeUndefined()
    await pass(1_000)
    expect(context.ended?.reason).toBe('expired')
    expect(touch).not.toHaveBeenCalled()
  })

  it.each<[string, string[], () => Promise<'touched' | 'gone'>]>([
    ['that was made reads nothing', [], async () => 'touched'],
    ['that found nothing has the session checked', ['id'], async () => 'gone'],
    ['that failed has the session checked', ['id'], () => Promise.reject(new Error('down'))],
  ])('makes a touch: one %s', async (_what, checked, touched) => {
    const live = new ByHandLiveStore()
    live.touched = touched
    const { connection } = await bindFound(startBridge({ live }), live, stored(record()))
    connection.message()
    await rest()
    expect(live.gets.map(({ sessionID }) => sessionID)).toEqual(checked)
  })

  it('says in a fault that touches fail, once a minute for all sessions, and ends no socket', async () => {
    const { store, bind, touch, faults } = start('messages')
    touch.mockImplementation((_id, _session, callback) => (callback as (error: Error) => void)(new Error('down')))
    const bound: Bound[] = []
    for (const id of ['one', 'two', 'three']) {
      store.set(id, record({}, 3_600_000))
      bound.push(await bind(id))
    }
    const sendAll = async () => {
      for (const { connection } of bound) connection.message()
      await rest()
    }
    await sendAll()
    expect(touch).toHaveBeenCalledTimes(3)
    expect(faults).toMatchObject([{ code: 'STORE_UNAVAILABLE', cause: { message: 'down' } }])
    await pass(59_999)
    await sendAll()
    expect(faults).toHaveLength(1)
    await pass(1)
    await sendAll()
    expect(faults).toHaveLength(2)
    for (const { context } of bound) expect(context.ended).toBeUndefined()
  })

  it('says nothing of a touch that closing the bridge has cut off', async () => {
    const { store, bind, touch, faults, bridge } = start('messages')
    touch.mockImplementation(() => undefined)
    store.set('id', record({}, 60_000))
    const { connection } = await bind('id')
    connection.message()
    await until(() => touch.mock.calls.length === 1)
    await bridge.close()
    await rest()
    expect(touch).toHaveBeenCalledTimes(1)
    expect(faults).toEqual([])
  })
})

describe('a real socket', () => {
  it('touches the session by its messages, and not by its handshake, its pings and its pongs', async () => {
    const app = await startApp({ session: { cookie: { maxAge: 60_000 } } })
    const cookie = await app.login('ada')
    const touch = vi.spyOn(app.store, 'touch')
    const { client, ws } = await connect(app, cookie)
    client.ws.ping()
    await once(ws, 'ping')
    ws.ping()
    await once(ws, 'pong')
    await rest()
    expect(touch).not.toHaveBeenCalled()
    client.ws.send('hello')
    await until(() => touch.mock.calls.length === 1)
    client.ws.send('hello again')
    await once(ws, 'message')
    await rest()
    expect(touch).toHaveBeenCalledTimes(1)
  })

  it('that goes on sending outlives its maxAge', async () => {
    const pass = stopClocks()
    const app = await startApp({ session: { cookie: { maxAge: 20_000 } } })
    const { client, context, ws } = await connect(app, await app.login('ada'))
    for (let round = 0; round < 20; round += 1) {
      client.ws.send('hello')
      await once(ws, 'message')
      await rest()
      await pass(5_000)
    }
    expect(context.ended).toBeUndefined()
    await pass(15_000)
    expect((await client.closed).code).toBe(4401)
  })
})
