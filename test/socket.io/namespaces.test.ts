import { once } from 'node:events'
import session, { MemoryStore } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import type { SessionContext, SessionRequest } from 'ws-session-bridge'
import { until } from '../live/bound.js'
import { clientOf, connected, connectTo, poll, receive, startIo, transports, type IoSocket } from './io-app.js'

/** What middlewares and listeners find when they are called, in order. */
function watcher() {
  const seen: [string, string | undefined][] = []
  const note = (where: string, { data }: IoSocket) => void seen.push([where, data.context.session.user])
  return {
    seen,
    middleware: (socket: IoSocket, next: () => void) => {
      note('use', socket)
      next()
    },
    listener: (socket: IoSocket) => note('connection', socket),
  }
}

const both = [
  ['use', 'ada'],
  ['connection', 'ada'],
]

describe('socket.data.context', () => {
  it.each(transports)('is there before middlewares and listeners of every namespace, by %s', async (_name, ways) => {
    const app = await startIo()
    const { seen, middleware, listener } = watcher()
    for (const namespace of [app.io.of('/'), app.io.of('/static'), app.io.of(/^\/dynamic-\d+$/)]) {
      namespace.use(middleware).on('connection', listener)
    }
    const cookie = await app.login('ada')
    await connectTo(app, { transports: ways, cookie })
    expect(seen.splice(0)).toEqual(both)
    await connected(clientOf(app, { transports: ways, cookie, namespace: '/static' }))
    expect(seen.splice(0)).toEqual(both)
    await connected(clientOf(app, { transports: ways, cookie, namespace: '/dynamic-7' }))
    expect(seen.splice(0)).toEqual(both)
    app.io.of('/made-later').use(middleware).on('connection', listener)
    await connected(clientOf(app, { transports: ways, cookie, namespace: '/made-later' }))
    expect(seen.splice(0)).toEqual(both)
  })

  it('is there in namespaces by a function, and in those that are tidied away when they are empty', async () => {
    const app = await startIo({}, { cleanupEmptyChildNamespaces: true })
    const { seen, middleware, listener } = watcher()
    app.io
      .of((name, _auth, next) => next(null, name.startsWith('/by-function')))
      .use(middleware)
      .on('connection', listener)
    const cookie = await app.login('ada')
    for (let times = 0; times < 2; times += 1) {
      const client = await connected(clientOf(app, { cookie, namespace: '/by-function-1' }))
      expect(seen.splice(0)).toEqual(both)
      client.disconnect()
      await until(() => !app.io._nsps.has('/by-function-1'))
    }
  })

  it('shows the session as it is now, to each event', async () => {
    const app = await startIo()
    app.io.on('connection', (socket) => {
      socket.on('role', (answer: (role: string | undefined) => void) => answer(socket.data.context.session.role))
    })
    const cookie = await app.login('ada')
    const { client, context } = await connectTo(app, { cookie })
    expect(await client.emitWithAck('role')).toBeNull()
    const changed = once(context, 'change')
    await app.call('POST', '/set?key=role&value=admin', cookie)
    await changed
    expect(await client.emitWithAck('role')).toBe('admin')
  })

  it('can write the session, which HTTP then sees', async () => {
    const app = await startIo()
    const cookie = await app.login('ada')
    const { context } = await connectTo(app, { cookie })
    await context.update((draft) => void (draft.views = 7))
    expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({ user: 'ada', views: 7 })
  })

  it('stays where the whole of socket.data is replaced, and cannot be', async () => {
    const app = await startIo()
    const { socket, context } = await connectTo(app, { cookie: await app.login('ada') })
    socket.data = { note: 'mine' } as never
    expect(socket.data.note).toBe('mine')
    expect(socket.data.context).toBe(context)
    expect(() => Object.assign(socket.data, { context: 'other' })).toThrow(TypeError)
  })

  it('is in nothing that is made of socket.data for others', async () => {
    const app = await startIo()
    const { socket, context } = await connectTo(app, { cookie: await app.login('ada') })
    socket.data.note = 'for all'
    expect(JSON.stringify(socket.data)).toBe('{"note":"for all"}')
    expect(structuredClone({ ...socket.data })).toEqual({ note: 'for all' })
    expect(Object.keys(socket.data)).toEqual(['note'])
    const [local] = await app.io.fetchSockets()
    expect(local?.data.context).toBe(context)
  })
})

describe('socket.request', () => {
  it.each(transports)(
    'has session, sessionID and sessionStore as behind express-session, by %s',
    async (_name, ways) => {
      const app = await startIo()
      const cookie = await app.login('ada')
      const { socket, context } = await connectTo(app, { transports: ways, cookie })
      const request = socket.request as SessionRequest
      expect(request.sessionID).toBe(context.sessionID)
      expect(request.session.user).toBe('ada')
      request.session.role = 'admin'
      await new Promise((resolve) => request.session.save(resolve))
      expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({ user: 'ada', role: 'admin' })
      await app.call('POST', '/logout', cookie)
      const error = await new Promise((resolve) => request.session.save(resolve))
      expect(error).toMatchObject({ code: 'SESSION_ENDED' })
      expect((await app.call('GET', '/me', cookie)).status).toBe(200)
      expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({})
    },
  )

  it('is the one of the bridge where io.engine.use(session()) runs as well', async () => {
    const store = new MemoryStore()
    const app = await startIo({ store })
    app.io.engine.use(session(app.sessionOptions))
    const cookie = await app.login('ada')
    const { headers } = await poll(app, '', { headers: { cookie } })
    expect(headers.getSetCookie()).toEqual([])
    const { socket } = await connectTo(app, { cookie, transports: ['polling', 'websocket'] })
    const { session: own } = socket.request as SessionRequest
    expect(own.user).toBe('ada')
    await app.call('POST', '/logout', cookie)
    expect(await new Promise((resolve) => own.save(resolve))).toMatchObject({ code: 'SESSION_ENDED' })
    expect((store as unknown as { sessions: object }).sessions).toEqual({})
  })
})

describe("keepAlive: 'messages'", () => {
  it('counts the events of a client, and nothing that it does by itself', async () => {
    const store = new MemoryStore()
    const app = await startIo({ store, session: { cookie: { maxAge: 60_000 } } }, { pingInterval: 10 })
    const touch = vi.spyOn(store, 'touch')
    const { client, socket } = await connectTo(app, { cookie: await app.login('ada') })
    touch.mockClear()
    client.on('question', (answer: () => void) => answer())
    await socket.emitWithAck('question')
    for (let pings = 0; pings < 2; pings += 1) await once(socket.conn, 'heartbeat')
    expect(touch).not.toHaveBeenCalled()
    client.emit('anything')
    await until(() => touch.mock.calls.length === 1)
  })

  it('counts binary events, too', async () => {
    const store = new MemoryStore()
    const app = await startIo({ store, session: { cookie: { maxAge: 60_000 } } })
    const touch = vi.spyOn(store, 'touch')
    const { socket } = await connectTo(app, { cookie: await app.login('ada') })
    touch.mockClear()
    // Today's decoder hands them over as plain events; the protocol has a type of their own for them.
    receive(socket, { type: 5, data: ['anything', Buffer.from('binary')] })
    await until(() => touch.mock.calls.length === 1)
  })
})

describe('contexts of several clients', () => {
  it('are their own, in one session and in two', async () => {
    const app = await startIo()
    const cookie = await app.login('ada')
    const contexts: SessionContext[] = []
    for (const name of [cookie, cookie, await app.login('grace')]) {
      contexts.push((await connectTo(app, { cookie: name })).context)
    }
    expect(new Set(contexts).size).toBe(3)
    expect(contexts.map((context) => context.session.user)).toEqual(['ada', 'ada', 'grace'])
    expect(app.bridge.stats()).toMatchObject({ sockets: 3, sessions: 2 })
  })
})
