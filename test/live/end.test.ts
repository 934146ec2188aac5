import { once } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'
import { CloseCode, SessionEndedError, type SessionEnd } from 'ws-session-bridge'
import { startApp } from '../support/app.js'
import { open } from '../support/client.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'
import { PlainConnection, record, rest, startBridge, stopClocks, until } from './bound.js'
import { bindLoaded, ByHandLiveStore, stored } from './by-hand-live-store.js'
import { connect, endOf } from './connected.js'

/** So many objects, one in the other. */
function nested(levels: number): object {
  return levels === 0 ? {} : { inner: nested(levels - 1) }
}

describe('the end of a socket', () => {
  it.each<[SessionEnd['reason'], number, (app: Awaited<ReturnType<typeof start>>) => unknown]>([
    ['destroyed', 4401, ({ app, context }) => app.store.destroy(context.sessionID)],
    ['forbidden', 4403, ({ app, cookie }) => app.call('POST', '/set?key=role&value=guest', cookie)],
    ['disconnected', 1008, ({ app, context }) => app.bridge.disconnect(context.sessionID)],
    ['shutdown', 1001, ({ app }) => void app.bridge.close()],
  ])('is %s with %i: a close frame, one event each, and an aborted signal', async (reason, code, act) => {
    const started = await start()
    const { app, client, context } = started
    const { signal } = context
    const onContext = vi.fn()
    const onBridge = vi.fn()
    context.on('end', onContext)
    app.bridge.on('end', onBridge)
    expect(signal.aborted).toBe(false)
    expect(context.signal).toBe(signal)
    await act(started)
    expect(await client.closed).toEqual({ code, reason })
    await until(() => app.wss.clients.size === 0)
    expect(context.ended).toEqual({ reason, code })
    expect(CloseCode).toMatchObject({ [reason]: code })
    expect(onContext.mock.calls).toEqual([[{ reason, code }]])
    expect(onBridge.mock.calls).toEqual([[context, { reason, code }]])
    expect(signal.aborted).toBe(true)
    expect(app.bridge.stats()).toMatchObject({ sockets: 0, sessions: 0, ended: { [reason]: 1 } })
  })

  async function start() {
    const app = await startApp({ bridge: { authorize: ({ role }) => role === 'admin' } })
    const cookie = await app.login('ada', 'admin')
    return { app, cookie, ...(await connect(app, cookie)) }
  }

  it.each([
    ['the client’s own code', (ws: WebSocket) => ws.close(4000, 'bye'), 4000],
    ['1005 for a close without one', (ws: WebSocket) => ws.close(), 1005],
    ['1006 for a connection that broke', (ws: WebSocket) => ws.terminate(), 1006],
  ])('is closed with %s when the client leaves', async (_what, leave, code) => {
    const { app, client, context } = await start()
    const onEnd = vi.fn()
    context.on('end', onEnd)
    leave(client.ws)
    expect(await endOf(context)).toEqual({ reason: 'closed', code })
    expect(context.signal.aborted).toBe(true)
    await until(() => app.wss.clients.size === 0)
    expect(onEnd).toHaveBeenCalledTimes(1)
    expect(app.bridge.stats()).toMatchObject({ sockets: 0, sessions: 0, ended: { closed: 1 } })
  })

  it('is closed with its code when the server’s own code closes it', async () => {
    const { client, context, ws } = await start()
    ws.close(4999, 'enough')
    expect(await endOf(context)).toEqual({ reason: 'closed', code: 4999 })
    expect((await client.closed).code).toBe(4999)
  })

  it('comes once when many causes come together', async () => {
    const { app, client, context } = await start()
    const onEnd = vi.fn()
    context.on('end', onEnd)
    app.bridge.disconnect(context.sessionID)
    app.store.destroy(context.sessionID)
    client.ws.close()
    void app.bridge.close()
    await client.closed
    await until(() => app.wss.clients.size === 0)
    await rest()
    expect(onEnd.mock.calls).toEqual([[{ reason: 'disconnected', code: 1008 }]])
  })

  it('leaves the last session to be read', async () => {
    const { app, context } = await start()
    app.store.destroy(context.sessionID)
    await endOf(context)
    expect(context.session).toMatchObject({ user: 'ada', role: 'admin' })
    expect(app.bridge.contextOf(context.ws as WebSocket)).toBe(context)
  })

  it('aborts a signal that is asked for afterwards', async () => {
    const { app, context } = await start()
    app.bridge.disconnect(context.sessionID)
    await endOf(context)
    expect(context.signal.aborted).toBe(true)
  })

  it('does not wait for a listener that throws', async () => {
    const { app, client, context } = await start()
    const thrown = new Error('a listener of the user')
    context.on('end', () => {
      throw thrown
    })
    app.store.destroy(context.sessionID)
    expect((await client.closed).code).toBe(4401)
    expect(app.faults).toEqual([thrown])
  })

  it('is a fault where the promise of a listener rejects: "last seen", of a session that is gone', async () => {
    const { app, context } = await start()
    const rejected = once(app.bridge, 'fault')
    // eslint-disable-next-line @typescript-eslint/no-misused-promises -- an async listener is what is tested
    context.on('end', async () => {
      await context.update((draft) => {
        draft.user = 'seen'
      })
    })
    app.store.destroy(context.sessionID)
    expect(await rejected).toMatchObject([{ code: 'SESSION_ENDED' }])
    expect(app.bridge.stats().faults).toBe(1)
  })

  it('is expired when the last expiry known has passed', async () => {
    const pass = stopClocks()
    const live = new ByHandLiveStore()
    const { bind } = startBridge({ live })
    const expiresAt = Date.now() + 60_000
    const { context } = await bindLoaded({ bind }, live, stored(record(), expiresAt))
    live.gets.shift()?.answer(stored(record(), expiresAt))
    await pass(60_000)
    live.gets.shift()?.answer(undefined)
    expect(await endOf(context)).toEqual({ reason: 'expired', code: 4401 })
  })

  it('is expired when the store says so of a session that it still gives, to the millisecond', async () => {
    stopClocks()
    const live = new ByHandLiveStore()
    const { bind } = startBridge({ live })
    const { context, connection } = await bindLoaded({ bind }, live, stored(record(), Date.now() + 60_000))
    live.gets.shift()?.answer(stored(record(), Date.now()))
    expect(await endOf(context)).toEqual({ reason: 'expired', code: 4401 })
    expect(connection.closings).toEqual([{ code: 4401, reason: 'expired' }])
    expect(live.watched.size).toBe(0)
    // The store is no longer asked about it.
    for (const call of [context.refresh(), context.update(() => undefined), context.touch(), context.destroy()])
      await expect(call).rejects.toThrow(SessionEndedError)
    expect(live.gets).toEqual([])
  })

  it('is that of a session which could not be checked where its record is nested too deep for too long', async () => {
    const pass = stopClocks()
    const { store, bind, faults } = startBridge({ unverifiedMs: 20_000 })
    store.set('id', record({ user: 'ada' }))
    const { context } = await bind('id')
    store.set('id', record({ note: nested(300) as never }))
    await pass(19_000, 500)
    // It keeps its last snapshot until then, and the fault is told once.
    expect(context.session.user).toBe('ada')
    expect(context.ended).toBeUndefined()
    expect(faults).toHaveLength(1)
    await pass(1_500, 500)
    expect(context.ended).toEqual({ reason: 'unverified', code: 1013 })
  })

  it('is that of a session which is gone where its record can be no session', async () => {
    const { store, bind, faults } = startBridge()
    store.set('id', record({ user: 'ada' }))
    const { context } = await bind('id')
    store.set('id', { cookie: null } as never)
    await until(() => context.ended !== undefined)
    expect(context.ended).toEqual({ reason: 'destroyed', code: 4401 })
    expect(faults).toHaveLength(1)
  })

  it('does not come where such a record is mended in time', async () => {
    const pass = stopClocks()
    const { store, bind } = startBridge({ unverifiedMs: 20_000 })
    store.set('id', record({ user: 'ada' }))
    const { context } = await bind('id')
    store.set('id', record({ note: nested(300) as never }))
    await pass(10_000, 500)
    store.set('id', record({ user: 'grace' }))
    await pass(30_000, 500)
    expect(context.ended).toBeUndefined()
    expect(context.session.user).toBe('grace')
  })
})

describe('a client that never answers the close frame', () => {
  it('is cut after the grace', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const accepted = once(app.bridge, 'accept')
    const client = rawRequest(app.port, upgradeRequest({ cookie }))
    await accepted
    const [ws] = [...app.wss.clients]
    const closed = once(ws!, 'close')
    const before = performance.now()
    app.store.destroy(app.bridge.readSessionID(cookie)!)
    // The frame has come (0x88, code 4401), and the client says nothing.
    await client.receivedUntil('destroyed')
    expect((await closed)[0]).toBe(1006)
    expect(performance.now() - before).toBeGreaterThan(900)
    await client.received()
  })

  it('is ended all the same, and its handlers can still write when the bridge closes', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const written: unknown[] = []
    app.bridge.on('accept', (context, ws) => {
      ws?.on('close', () => written.push(context?.update((draft) => void (draft.role = 'was here'))))
    })
    const accepted = once(app.bridge, 'accept')
    rawRequest(app.port, upgradeRequest({ cookie }))
    await accepted
    await app.bridge.close()
    expect(await Promise.all(written)).toMatchObject([{ role: 'was here' }])
  })
})

describe('a connection that is no ws socket and never closes', () => {
  it('is terminated after the grace', async () => {
    stopClocks()
    const { bridge, store, bind } = startBridge()
    store.set('id', record())
    const { connection } = await bind('id', Object.assign(new PlainConnection(), { silent: true }))
    bridge.disconnect('id')
    vi.advanceTimersByTime(999)
    expect(connection).toMatchObject({ closings: [{ code: 1008, reason: 'disconnected' }], terminations: 0 })
    vi.advanceTimersByTime(2)
    expect(connection.terminations).toBe(1)
  })

  it.each([
    ['for the grace where it has no terminate', undefined, 1_000],
    ['for another grace where it has one, which is called once', vi.fn(), 2_000],
  ])('holds up the end of the bridge %s', async (_what, terminate, ms) => {
    const pass = stopClocks()
    const { bridge, store, authenticate } = startBridge()
    store.set('id', record())
    const deaf = { close: () => undefined, onClose: () => undefined }
    bridge.bind(await authenticate('id'), terminate === undefined ? deaf : { ...deaf, terminate })
    await rest()
    const closed = vi.fn()
    const closing = bridge.close().then(closed)
    await pass(ms - 1, 500)
    expect(closed).not.toHaveBeenCalled()
    await pass(2)
    expect(closed).toHaveBeenCalled()
    if (terminate !== undefined) expect(terminate).toHaveBeenCalledTimes(1)
    await closing
  })
})

describe('thousands of connections of one session that end together', () => {
  it('are closed in slices: others get their turn in between, and nothing reaches a handler after the first', async () => {
    const { bridge, store, authenticate } = startBridge()
    store.set('id', record())
    const count = 3_000
    let closed = 0
    for (let index = 0; index < count; index += 1) {
      const connection = new PlainConnection()
      bridge.bind(await authenticate('id'), connection)
      connection.onClose(() => (closed += 1))
    }
    await rest()
    const contexts = [...bridge.connections()]
    let most = 0
    bridge.disconnect('id')
    expect(contexts.every(({ ended }) => ended?.reason === 'disconnected')).toBe(true)
    let before = 0
    while (closed < count) {
      most = Math.max(most, closed - before)
      before = closed
      await new Promise(setImmediate)
    }
    expect(most).toBeLessThanOrEqual(200)
    expect(bridge.stats()).toMatchObject({ sockets: 0, sessions: 0, ended: { disconnected: count } })
  })

  it.each([
    ['of one session', () => 'id'],
    ['of as many sessions', (index: number) => `id ${index}`],
  ])('%s are closed in slices when the bridge closes', async (_what, idOf) => {
    const { bridge, store, authenticate } = startBridge()
    let closed = 0
    for (let index = 0; index < 1_000; index += 1) {
      store.set(idOf(index), record())
      const connection = new PlainConnection()
      bridge.bind(await authenticate(idOf(index)), connection)
      connection.onClose(() => (closed += 1))
    }
    await rest()
    const closing = bridge.close()
    expect(closed).toBeLessThanOrEqual(200)
    await closing
    expect(closed).toBe(1_000)
  })

  it('are not waited for where one has closed before its turn came', async () => {
    // The grace for a client that does not answer never passes.
    stopClocks()
    const app = await startApp()
    const cookie = await app.login('ada')
    for (let index = 0; index < 201; index += 1) await open(app.wsUrl, { cookie })
    const contexts = [...app.bridge.connections()]
    contexts[0]?.once('end', () => contexts[200]?.ws?.terminate())
    await app.bridge.close()
    expect(contexts.map(({ ended }) => ended?.reason)).toEqual(contexts.map(() => 'shutdown'))
  })
})
