import { once } from 'node:events'
import type { Server } from 'socket.io'
import { describe, expect, it, vi } from 'vitest'
import { until } from '../live/bound.js'
import {
  connected,
  connectTo,
  disconnected,
  drop,
  startIo,
  type Connected,
  type IoApp,
  type IoSocket,
} from './io-app.js'

const recovering = { connectionStateRecovery: { maxDisconnectionDuration: 60_000 } }

/** A client in a room that has heard of something, so that it knows where it left off. */
async function settled(app: IoApp, cookie?: string): Promise<Connected & { heard: string[] }> {
  const connection = await connectTo(app, { cookie })
  const heard: string[] = []
  connection.client.on('news', (text: string) => heard.push(text))
  await connection.socket.join('room')
  connection.socket.data.note = 'kept'
  app.io.to('room').emit('news', 'first')
  await until(() => heard.length === 1)
  return { ...connection, heard }
}

/** The same client once more, with what it has kept, and with another cookie if one is named. */
async function again(
  app: IoApp,
  { client }: Connected,
  cookie?: string,
  cookieIs: 'new' | 'gone' = 'new',
): Promise<IoSocket> {
  const { opts } = client.io
  if (cookie !== undefined) opts.extraHeaders = { cookie }
  else if (cookieIs === 'gone') opts.extraHeaders = {}
  const connection = once(app.io, 'connection') as Promise<[IoSocket]>
  client.connect()
  const [[socket]] = await Promise.all([connection, connected(client)])
  return socket
}

describe('connection state recovery', () => {
  it.each([true, false])(
    'brings back rooms, data and missed packets, with a context of its own (skipMiddlewares %s)',
    async (skipMiddlewares) => {
      const app = await startIo(
        {},
        { connectionStateRecovery: { ...recovering.connectionStateRecovery, skipMiddlewares } },
      )
      const cookie = await app.login('ada')
      const before = await settled(app, cookie)
      await drop(before)
      app.io.to('room').emit('news', 'second')
      await app.call('POST', '/set?key=role&value=admin', cookie)
      const socket = await again(app, before)
      expect(socket.recovered).toBe(true)
      expect(before.client.recovered).toBe(true)
      expect(socket.id).toBe(before.socket.id)
      expect(socket.rooms).toContain('room')
      expect(socket.data.note).toBe('kept')
      await until(() => before.heard.length === 2)
      expect(socket.data.context).not.toBe(before.context)
      expect(socket.data.context.ended).toBeUndefined()
      expect(socket.data.context.session).toMatchObject({ user: 'ada', role: 'admin' })
      // What still runs for the socket before it has not changed under its feet.
      expect(before.socket.data.context).toBe(before.context)
      expect(app.bridge.stats()).toMatchObject({ sockets: 1, sessions: 1 })
    },
  )

  it('brings back a second time, and its end is still heard', async () => {
    const app = await startIo({}, recovering)
    const cookie = await app.login('ada')
    const before = await settled(app, cookie)
    await drop(before)
    const socket = await again(app, before)
    await drop({ ...before, socket })
    const third = await again(app, before)
    expect(third.recovered).toBe(true)
    const heard = disconnected(before.client)
    await app.call('POST', '/logout', cookie)
    expect(await heard).toBe('io server disconnect')
  })

  it.each([
    ['another user in the same page', async (app: IoApp) => app.login('mallory')],
    ['another session of the same user', async (app: IoApp) => app.login('ada')],
  ])('brings nothing to %s', async (_who, loginAgain) => {
    const app = await startIo({}, recovering)
    const before = await settled(app, await app.login('ada'))
    await drop(before)
    app.io.to('room').emit('news', 'for ada alone')
    const socket = await again(app, before, await loginAgain(app))
    expect(socket.recovered).toBe(false)
    expect(before.client.recovered).toBe(false)
    expect(socket.id).not.toBe(before.socket.id)
    expect([...socket.rooms]).toEqual([socket.id])
    expect(socket.data.note).toBeUndefined()
    app.io.emit('news', 'for all')
    await until(() => before.heard.length === 2)
    expect(before.heard).toEqual(['first', 'for all'])
  })

  it('brings nothing back after a login that regenerated the ID, nor after a logout', async () => {
    const app = await startIo({}, recovering)
    const cookie = await app.login('ada')
    const before = await settled(app, cookie)
    await drop(before)
    const response = await app.call('POST', '/regenerate?name=ada', cookie)
    const socket = await again(app, before, response.headers.getSetCookie()[0]?.split(';')[0])
    expect(socket.recovered).toBe(false)
    expect(socket.data.context.session.user).toBe('ada')
  })

  it('keeps nothing of a connection that the bridge ended, whatever Socket.IO saw first', async () => {
    const app = await startIo({}, recovering)
    const persist = vi.spyOn(app.io.sockets.adapter, 'persistSession')
    const ended = await settled(app, await app.login('ada'))
    const heard = disconnected(ended.client)
    app.bridge.disconnect(ended.context.sessionID)
    expect(await heard).toBe('io server disconnect')
    const other = await settled(app, await app.login('grace'))
    // Its client leaves in the very moment.
    const left = once(other.socket, 'disconnect')
    Object.defineProperty(other.context, 'ended', { value: { reason: 'destroyed', code: 4401 } })
    other.client.io.engine.close()
    await left
    expect(persist).not.toHaveBeenCalled()
  })

  it('is to be had after an end by the bridge that lets the client come back', async () => {
    const app = await startIo({}, recovering)
    const before = await settled(app, await app.login('ada'))
    const left = Promise.all([once(before.socket, 'disconnect'), disconnected(before.client)])
    app.bridge.disconnect(before.context.sessionID, { code: 1012 })
    await left
    expect((await again(app, before)).recovered).toBe(true)
  })

  it('is to be had without a session where that is accepted, but not across a login or a logout', async () => {
    const app = await startIo({ bridge: { anonymous: 'accept' } }, recovering)
    const before = await settled(app)
    await drop(before)
    const anonymous = await again(app, before)
    expect(anonymous.recovered).toBe(true)
    expect(anonymous.data).toHaveProperty('context', undefined)
    await drop({ ...before, socket: anonymous })
    const loggedIn = await again(app, before, await app.login('ada'))
    expect(loggedIn.recovered).toBe(false)
    app.io.emit('news', 'second')
    await until(() => before.heard.length === 2)
    await drop({ ...before, socket: loggedIn })
    const loggedOut = await again(app, before, undefined, 'gone')
    expect(loggedOut.recovered).toBe(false)
    expect(loggedOut.data).toHaveProperty('context', undefined)
  })

  it('gives no session ID to the adapter', async () => {
    const app = await startIo({}, recovering)
    const persist = vi.spyOn(app.io.sockets.adapter, 'persistSession')
    const before = await settled(app, await app.login('ada'))
    await drop(before)
    const kept = JSON.stringify(persist.mock.calls)
    expect(kept).toContain('kept')
    expect(kept).not.toContain(before.context.sessionID)
    expect(kept).not.toContain('context')
  })

  it.each([
    ['a mark that is not there', 'pid'],
    ['a mark that is none', 'pid.mark'],
    ['something that is no string', 7],
    ['an empty one', ''],
  ])('asks the adapter for nothing with %s', async (_what, pid) => {
    const app = await startIo({}, recovering)
    const restore = vi.spyOn(app.io.sockets.adapter, 'restoreSession')
    const { socket } = await connectTo(app, { cookie: await app.login('ada'), auth: { pid, offset: 'x', mine: 1 } })
    expect(socket.recovered).toBe(false)
    expect(socket.handshake.auth).toEqual({ mine: 1 })
    expect(restore).not.toHaveBeenCalled()
  })

  it('asks the adapter for nothing once the session has ended', async () => {
    const app = await startIo({}, recovering)
    const cookie = await app.login('ada')
    const before = await settled(app, cookie)
    await drop(before)
    const { _pid: pid, _lastOffset: offset } = before.client as unknown as { _pid: string; _lastOffset: string }
    const { socket, context } = await connectTo(app, { cookie })
    const restore = vi.spyOn(app.io.sockets.adapter, 'restoreSession')
    await app.io.of('/')._add(socket.client as never, { pid, offset }, () => undefined)
    expect(restore).toHaveBeenCalledTimes(1)
    Object.defineProperty(context, 'ended', { value: { reason: 'destroyed', code: 4401 } })
    await app.io.of('/')._add(socket.client as never, { pid, offset }, () => undefined)
    expect(restore).toHaveBeenCalledTimes(1)
  })

  it('leaves nothing behind where the session ends while the adapter is asked', async () => {
    const app = await startIo({}, recovering)
    const before = await settled(app, await app.login('ada'))
    await drop(before)
    const { adapter } = (app.io as Server).sockets
    const restore = adapter.restoreSession.bind(adapter)
    vi.spyOn(adapter, 'restoreSession').mockImplementation(async (pid, offset) => {
      const restored = await restore(pid, offset)
      app.bridge.disconnect(before.context.sessionID)
      return restored
    })
    const heard = vi.fn()
    app.io.on('connection', heard)
    before.client.connect()
    await once(before.client.io.engine as never, 'close')
    await until(() => app.io.engine.clientsCount === 0)
    expect(heard).not.toHaveBeenCalled()
    expect(app.io.sockets.sockets.size).toBe(0)
    expect(adapter.rooms.size).toBe(0)
  })
})
