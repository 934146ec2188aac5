import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { MemoryStore } from 'express-session'
import { Server, type ServerOptions } from 'socket.io'
import { describe, expect, it, vi } from 'vitest'
import { attachSocketIO, type SocketIOServer } from 'ws-session-bridge/socket.io'
import { startBridge, until } from '../live/bound.js'
import { createGate, gatedStore } from '../support/gate.js'
import { startApp } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { open, refused as refusedUpgrade } from '../support/client.js'
import {
  clientOf,
  connected,
  connectTo,
  disconnected,
  poll,
  refused,
  startIo,
  transports,
  type IoServer,
} from './io-app.js'

describe('attachSocketIO', () => {
  it.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /first argument must be made by createSessionBridge/],
    ['null', null, /first argument/],
    ['options', { session: {} }, /first argument/],
  ])('throws a TypeError for %s in place of the bridge', (_what, bridge, message) => {
    expect(() => attachSocketIO(bridge as never, new Server())).toThrow(message)
    expect(() => attachSocketIO(bridge as never, new Server())).toThrow(TypeError)
  })

  it.each<[string, () => unknown, RegExp]>([
    ['nothing', () => undefined, /second argument must be a Socket.IO Server/],
    ['an http server', () => createServer(), /second argument/],
    ['a namespace', () => new Server().of('/news'), /second argument/],
    ['a server that is too old', () => ({ bind: vi.fn(), sockets: { _add: vi.fn() }, _nsps: new Map() }), /4\.6/],
  ])('throws a TypeError for %s in place of the Socket.IO server', (_what, io, message) => {
    const { bridge } = startBridge()
    expect(() => attachSocketIO(bridge, io() as SocketIOServer)).toThrow(message)
    expect(() => attachSocketIO(bridge, io() as SocketIOServer)).toThrow(TypeError)
  })

  it('throws a TypeError the second time, with any bridge', () => {
    const io = new Server()
    attachSocketIO(startBridge().bridge, io)
    expect(() => attachSocketIO(startBridge().bridge, io)).toThrow(/has a bridge already/)
  })

  it('throws a TypeError for a closed bridge', async () => {
    const { bridge } = startBridge()
    await bridge.close()
    expect(() => attachSocketIO(bridge, new Server())).toThrow(/the bridge is closed/)
  })

  it('throws a TypeError for an engine that it cannot guard, before or after', () => {
    // As uServer of Engine.IO looks in a minified bundle.
    class a {
      readonly opts = {}
      readonly clients = {}
      readonly middlewares = []
      readonly _applyMiddlewares = vi.fn()
      readonly on = vi.fn()
    }
    const { bridge } = startBridge()
    const before = new Server()
    before.bind(new a())
    expect(() => attachSocketIO(bridge, before)).toThrow(/uWebSockets\.js is not supported/)
    const after = new Server()
    attachSocketIO(bridge, after)
    expect(() => after.bind(new a())).toThrow(/uWebSockets\.js is not supported/)
    expect(() => after.bind({ on: vi.fn() })).toThrow(/this engine is not supported/)
  })

  it.each<[string, (io: Server, listen: (io: Server) => void) => void]>([
    ['after io.attach', (_io, listen) => listen(_io)],
    ['before io.attach', (io, listen) => void setImmediate(listen, io)],
  ])('guards a server that it is called for %s', async (_when, start) => {
    const app = await startApp()
    const io = new Server()
    const listening = new Promise<void>((resolve) => {
      start(io, (server) => {
        server.attach(app.server)
        resolve()
      })
    })
    attachSocketIO(app.bridge, io)
    await listening
    atEnd(() => io.engine.close())
    await refused(clientOf(app))
    await connected(clientOf(app, { cookie: await app.login('ada') }))
    expect(app.bridge.stats()).toMatchObject({ accepted: 1, sockets: 1 })
  })

  it('guards a second http server of the same Socket.IO server, its allowRequest included', async () => {
    const allowRequest = vi.fn<NonNullable<ServerOptions['allowRequest']>>((_request, answer) => answer(null, true))
    const app = await startIo({}, { allowRequest })
    const second = createServer()
    app.io.attach(second)
    const { engine } = app.io
    atEnd(() => void second.close())
    atEnd(() => engine.close())
    second.listen(0, '127.0.0.1')
    await once(second, 'listening')
    const url = `http://127.0.0.1:${(second.address() as AddressInfo).port}`
    await refused(clientOf({ url }))
    await connected(clientOf({ url }, { cookie: await app.login('ada') }))
    expect(app.refusals).toMatchObject([{ reason: 'no-cookie' }])
    expect(allowRequest).toHaveBeenCalledTimes(1)
    expect(app.bridge.stats()).toMatchObject({ accepted: 1 })
  })

  it('guards the namespaces that were made before it, and is ahead of their middlewares', async () => {
    const app = await startApp()
    const io: IoServer = new Server(app.server)
    const seen: unknown[] = []
    io.of('/before').use(({ data }, next) => {
      seen.push(data.context.session.user)
      next()
    })
    attachSocketIO(app.bridge, io)
    atEnd(() => io.engine.close())
    await connected(clientOf(app, { namespace: '/before', cookie: await app.login('ada') }))
    expect(seen).toEqual(['ada'])
  })

  it('leaves the options that a user shares between servers as they are', async () => {
    const options: Partial<ServerOptions> = {}
    await startIo({}, options)
    expect(options.allowRequest).toBeUndefined()
  })

  it('serves several Socket.IO servers with one bridge', async () => {
    const app = await startIo()
    const other = new Server(app.server, { path: '/other' })
    attachSocketIO(app.bridge, other)
    atEnd(() => other.engine.close())
    const cookie = await app.login('ada')
    await connected(clientOf(app, { cookie }))
    await connected(clientOf(app, { cookie, path: '/other' }))
    await refused(clientOf(app, { path: '/other' }))
    expect(app.bridge.stats()).toMatchObject({ sockets: 2, sessions: 1 })
  })

  it('closes connections that were there before, and tells of the fault', async () => {
    const app = await startApp()
    const io = new Server(app.server)
    atEnd(() => io.engine.close())
    const client = await connected(clientOf(app))
    const closed = disconnected(client)
    attachSocketIO(app.bridge, io)
    await closed
    expect(app.faults).toHaveLength(1)
    expect(io.engine.clientsCount).toBe(0)
  })

  it('lets no client into a namespace that came by an engine that it has never seen', async () => {
    const app = await startApp()
    const io = new Server(app.server, { path: '/first' })
    const { engine } = io
    io.attach(createServer())
    attachSocketIO(app.bridge, io)
    atEnd(() => engine.close())
    const heard = vi.fn()
    io.use(heard)
    const client = clientOf(app, { path: '/first', cookie: await app.login('ada') })
    await once(client.io.engine as never, 'close')
    await until(() => engine.clientsCount === 0)
    expect(heard).not.toHaveBeenCalled()
    expect(app.faults).toHaveLength(1)
  })
})

describe('an upgrade from polling to websocket', () => {
  it('is one connection of the bridge, before and after', async () => {
    const app = await startIo()
    const seen: number[] = []
    app.io.on('connection', () => seen.push(app.bridge.stats().sockets))
    const { socket } = await connectTo(app, { transports: ['polling', 'websocket'], cookie: await app.login('ada') })
    await until(() => socket.conn.transport.name === 'websocket')
    expect([...seen, app.bridge.stats().sockets, app.bridge.stats().accepted]).toEqual([1, 1, 1])
  })
})

describe('beside bridge.attach() on the same server', () => {
  it('both serve their paths, and leave each other alone', async () => {
    const app = await startIo({}, { destroyUpgradeTimeout: 500 })
    const cookie = await app.login('ada')
    const ws = await open(app.wsUrl, { cookie })
    for (const [, ways] of transports) await connectTo(app, { transports: ways, cookie })
    expect((await refusedUpgrade(app.wsUrl)).status).toBe(401)
    await refused(clientOf(app))
    // As long as Engine.IO leaves an upgrade that no one answers.
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(app.bridge.stats().sockets).toBe(4)
    await app.call('POST', '/logout', cookie)
    expect(await ws.closed).toMatchObject({ code: 4401 })
    await until(() => app.io.sockets.sockets.size === 0)
  })

  it('Engine.IO ends a slow handshake of the bridge, unless destroyUpgradeTimeout is longer', async () => {
    const gated = gatedStore(new MemoryStore())
    const impatient = await startIo({ store: gated.store }, { destroyUpgradeTimeout: 1 })
    const cookie = await impatient.login('ada')
    const gate = gated.hold('get')
    await expect(open(impatient.wsUrl, { cookie })).rejects.toThrow('socket hang up')
    gate.open()
    await until(() => impatient.refusals.length > 0)
    expect(impatient.refusals).toMatchObject([{ reason: 'client-gone' }])

    const patience = createGate()
    const patient = await startIo(
      { bridge: { authorize: () => patience.wait().then(() => true) } },
      { destroyUpgradeTimeout: 60_000 },
    )
    const opening = open(patient.wsUrl, { cookie: await patient.login('ada') })
    await patience.arrived
    patience.open()
    await opening
  })

  it('leaves the rest of the app to Express, the client script to Socket.IO', async () => {
    const app = await startIo()
    expect((await fetch(`${app.url}/socket.io/socket.io.min.js`)).status).toBe(200)
    expect((await app.call('GET', '/me')).status).toBe(200)
    expect((await poll(app, '&sid=unknown')).body).toBe('{"code":1,"message":"Session ID unknown"}')
  })
})
