import { EventEmitter } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import type { BoundConnection, SessionContext } from 'ws-session-bridge'
import { createGate } from '../support/gate.js'
import { PlainConnection, record, rest, startBridge, until } from './bound.js'
import { endOf } from './connected.js'
import { TtlStore, type Kept } from './ttl-store.js'

describe('bind()', () => {
  it('watches the session from then on, counts the connection, and ends it with its session', async () => {
    const { bridge, store, bind } = startBridge()
    store.set('id', record({ user: 'ada' }))
    const accepted = vi.fn()
    bridge.on('accept', accepted)
    const { context, connection } = await bind('id')
    expect(accepted.mock.calls).toEqual([[context, undefined]])
    expect(context.ws).toBeUndefined()
    expect([...bridge.connections()]).toEqual([context])
    expect(bridge.stats()).toMatchObject({ sockets: 1, sessions: 1, accepted: 1 })
    store.set('id', record({ user: 'grace' }))
    await until(() => context.session.user === 'grace')
    store.destroy('id')
    expect(await endOf(context)).toEqual({ reason: 'destroyed', code: 4401 })
    expect(connection.closings).toEqual([{ code: 4401, reason: 'destroyed' }])
    expect(bridge.stats()).toMatchObject({ sockets: 0, sessions: 0 })
  })

  it('says closed when the connection closes by itself, once', async () => {
    const { bridge, store, bind } = startBridge()
    store.set('id', record())
    const { context, connection } = await bind('id')
    const onEnd = vi.fn()
    context.on('end', onEnd)
    connection.disappear()
    connection.disappear()
    await rest()
    expect(onEnd.mock.calls).toEqual([[{ reason: 'closed', code: 1005 }]])
    expect(connection.closings).toEqual([])
    expect(bridge.stats()).toMatchObject({ sockets: 0, sessions: 0, ended: { closed: 1 } })
  })

  it('needs no terminate and no onMessage', async () => {
    const { bridge, store, authenticate } = startBridge()
    store.set('id', record())
    const context = await authenticate('id')
    const close = vi.fn()
    bridge.bind(context, { close, onClose: (listener) => void close.mockImplementation(listener) })
    bridge.disconnect('id')
    expect(close.mock.calls).toEqual([[1008, 'disconnected']])
    expect(context.ended?.reason).toBe('disconnected')
  })

  it('throws a TypeError for a context that is bound already, has ended, or is not of this bridge', async () => {
    const { bridge, store, bind, authenticate } = startBridge()
    const other = startBridge({ store })
    store.set('id', record())
    const { context, connection } = await bind('id')
    expect(() => bridge.bind(context, new PlainConnection())).toThrow(/bound already/)
    connection.disappear()
    expect(() => bridge.bind(context, new PlainConnection())).toThrow(/has ended/)
    expect(() => bridge.bind(JSON.parse(JSON.stringify(context)) as SessionContext, new PlainConnection())).toThrow(
      /this bridge/,
    )
    const foreign = await other.authenticate('id')
    expect(() => bridge.bind(foreign, new PlainConnection())).toThrow(/this bridge/)
    expect(bridge.stats()).toMatchObject({ sockets: 0, sessions: 0 })
    bridge.bind(await authenticate('id'), new PlainConnection())
    expect(bridge.stats().sockets).toBe(1)
  })

  it.each<[string, object]>([
    ['close', { onClose: () => undefined }],
    ['onClose', { close: () => undefined }],
  ])(
    'throws a TypeError for a connection without `%s`, and the context can still be bound',
    async (_what, connection) => {
      const { bridge, store, authenticate } = startBridge()
      store.set('id', record())
      const context = await authenticate('id')
      expect(() => bridge.bind(context, connection as BoundConnection)).toThrow(/`close` and `onClose`/)
      bridge.bind(context, new PlainConnection())
      expect(bridge.stats().sockets).toBe(1)
    },
  )

  it('closes with 1008 where maxSocketsPerSession leaves no place', async () => {
    const { bridge, store, authenticate } = startBridge({ maxSocketsPerSession: 1 })
    store.set('id', record())
    const contexts = [await authenticate('id'), await authenticate('id')] as const
    const connections = [new PlainConnection(), new PlainConnection()] as const
    bridge.bind(contexts[0], connections[0])
    const onEnd = vi.fn()
    contexts[1].on('end', onEnd)
    bridge.bind(contexts[1], connections[1])
    expect(connections[1].closings).toMatchObject([{ code: 1008 }])
    expect(onEnd.mock.calls).toEqual([[{ reason: 'disconnected', code: 1008 }]])
    expect(contexts[0].ended).toBeUndefined()
    expect(bridge.stats()).toMatchObject({ sockets: 1, sessions: 1 })
  })

  it('takes no place for a connection that had closed before', async () => {
    const { bridge, store, authenticate } = startBridge()
    store.set('id', record())
    const context = await authenticate('id')
    bridge.bind(context, { close: () => undefined, onClose: (listener) => listener() })
    expect(context.ended).toEqual({ reason: 'closed', code: 1005 })
    expect(bridge.stats()).toMatchObject({ sockets: 0, sessions: 0, ended: { closed: 1 } })
  })

  it('ends a session that went between authenticate() and it, also where no report told', async () => {
    const data = new Map<string, Kept>()
    const { store, authenticate, bridge } = startBridge({ store: new TtlStore(data) })
    store.set('id', record())
    const context = await authenticate('id')
    data.delete('id')
    const connection = new PlainConnection()
    bridge.bind(context, connection)
    expect(await endOf(context)).toEqual({ reason: 'destroyed', code: 4401 })
    expect(connection.closings).toMatchObject([{ code: 4401 }])
  })

  it('tells of a change between authenticate() and it', async () => {
    const data = new Map<string, Kept>()
    const { store, authenticate, bridge } = startBridge({ store: new TtlStore(data) })
    store.set('id', record({ user: 'ada' }))
    const context = await authenticate('id')
    new TtlStore(data).set('id', record({ user: 'grace' }))
    const changed = vi.fn()
    context.on('change', changed)
    bridge.bind(context, new PlainConnection())
    await until(() => changed.mock.calls.length === 1)
    expect(changed.mock.calls[0]).toMatchObject([{ user: 'grace' }, { user: 'ada' }])
  })

  it('shows what the others of its session see, though authenticate() has found something older', async () => {
    const { store, authenticate, bridge, bind } = startBridge()
    store.set('id', record({ user: 'ada' }))
    const late = await authenticate('id')
    const { context } = await bind('id')
    store.set('id', record({ user: 'grace' }))
    await until(() => context.session.user === 'grace')
    const changed = vi.fn()
    context.on('change', changed)
    bridge.bind(late, new PlainConnection())
    expect(late.session).toMatchObject({ user: 'grace' })
    expect(late.session).toBe(context.session)
    await rest()
    expect(changed).not.toHaveBeenCalled()
  })

  it.each([
    ['alone', false],
    ['where others have seen the change already', true],
  ])('asks authorize about a change between authenticate() and it, %s', async (_what, others) => {
    const { store, authenticate, bridge } = startBridge({
      authorize: ({ role }, _request, { at }) => role === 'admin' || at === 0,
    })
    store.set('id', record({ role: 'admin' }))
    const context = await authenticate('id')
    if (others) {
      // One that may stay, whatever its role: it keeps the session watched.
      const staying = await authenticate('id')
      Object.defineProperty(staying, 'handshake', { value: { ...staying.handshake, at: 0 } })
      bridge.bind(staying, new PlainConnection())
    }
    store.set('id', record({ role: 'guest' }))
    await rest()
    const connection = new PlainConnection()
    bridge.bind(context, connection)
    expect(await endOf(context)).toEqual({ reason: 'forbidden', code: 4403 })
    expect(connection.closings).toEqual([{ code: 4403, reason: 'forbidden' }])
  })

  it('asks authorize no second time where nothing has changed', async () => {
    const authorize = vi.fn(() => true)
    const { store, bind } = startBridge({ authorize })
    store.set('id', record({ role: 'admin' }))
    await bind('id')
    await bind('id')
    await rest()
    expect(authorize).toHaveBeenCalledTimes(2)
  })

  it('is not disturbed by a connection whose methods throw', async () => {
    const { bridge, store, authenticate, faults } = startBridge()
    store.set('id', record())
    const thrown = new Error('already closed')
    bridge.bind(await authenticate('id'), {
      close() {
        throw thrown
      },
      onClose: () => undefined,
    })
    const connection = new PlainConnection()
    bridge.bind(await authenticate('id'), connection)
    bridge.disconnect('id')
    expect(connection.closings).toHaveLength(1)
    expect(faults).toEqual([thrown])
  })

  it('is not disturbed by a connection whose methods return promises that reject', async () => {
    const { bridge, store, faults, bind } = startBridge()
    store.set('id', record())
    const failed = new Error('already closed')
    const broken = Object.assign(new PlainConnection(), {
      close: () => Promise.reject(failed),
      terminate: () => Promise.reject(failed),
    })
    await bind('id', broken)
    await bridge.close()
    expect(bridge.stats()).toMatchObject({ sockets: 0, ended: { shutdown: 1 } })
    expect(faults).toEqual([failed, failed])
  })

  it.each(['onClose', 'onMessage'] as const)('throws what %s throws, and has counted nothing', async (method) => {
    const { bridge, store, authenticate } = startBridge()
    store.set('id', record())
    const context = await authenticate('id')
    const thrown = new Error('no such listener')
    const broken = Object.assign(new PlainConnection(), {
      [method]: () => {
        throw thrown
      },
    })
    expect(() => {
      bridge.bind(context, broken)
    }).toThrow(thrown)
    expect(bridge.stats()).toMatchObject({ sockets: 0, sessions: 0, accepted: 0 })
    expect([...bridge.connections()]).toEqual([])
    // The listener that it has registered would end it together with another connection.
    expect(() => bridge.bind(context, new PlainConnection())).toThrow(/bound already/)
  })

  it('may end in the listener of accept', async () => {
    const { bridge, store, bind } = startBridge()
    store.set('id', record())
    bridge.once('accept', (context) => bridge.disconnect(context!.sessionID))
    const { context, connection } = await bind('id')
    await rest()
    expect(context.ended?.reason).toBe('disconnected')
    expect(connection.closings).toHaveLength(1)
    expect(bridge.stats()).toMatchObject({ sockets: 0, sessions: 0 })
  })

  it('serves an event stream over HTTP as well', async () => {
    const { bridge, store, authenticate } = startBridge()
    store.set('id', record())
    const response = Object.assign(new EventEmitter(), { end: vi.fn() })
    const context = await authenticate('id')
    bridge.bind(context, {
      close: (code) => {
        response.end(`event: end\ndata: ${code}\n\n`)
        response.emit('close')
      },
      onClose: (listener) => response.on('close', listener),
    })
    await bridge.destroy('id')
    expect(response.end.mock.calls).toEqual([['event: end\ndata: 4401\n\n']])
  })

  it('waits for no authorize that is under way when the session goes, and hears no "no" after it', async () => {
    const gate = createGate()
    const { store, bridge, bind } = startBridge({
      authorize: async (_session, request) => {
        if (request === undefined) await gate.wait()
        return request !== undefined
      },
    })
    store.set('id', record({ role: 'admin' }))
    const { context, connection } = await bind('id')
    const onEnd = vi.fn()
    context.on('end', onEnd)
    store.set('id', record({ role: 'guest' }))
    await gate.arrived
    await bridge.destroy('id')
    expect(context.ended?.reason).toBe('destroyed')
    gate.open()
    await rest()
    expect(onEnd).toHaveBeenCalledTimes(1)
    expect(connection.closings).toHaveLength(1)
    expect(bridge.stats()).toMatchObject({ sockets: 0, ended: { destroyed: 1, forbidden: 0 } })
  })
})
