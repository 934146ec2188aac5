import { once, type EventEmitter } from 'node:events'
import { MemoryStore } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import type { SessionContext } from 'ws-session-bridge'
import { rest, until } from '../live/bound.js'
import { endOf } from '../live/connected.js'
import {
  connected,
  connectTo,
  disconnected,
  openByPolling,
  poll,
  receive,
  startIo,
  transports,
  type IoApp,
  type IoSocket,
} from './io-app.js'

const event = (...data: unknown[]) => ({ type: 2, data })

describe.each(transports)('by %s, a connection', (_name, ways) => {
  it('ends with a logout over HTTP, and the client hears that it shall not come back by itself', async () => {
    const app = await startIo()
    const cookie = await app.login('ada')
    const { client, socket, context } = await connectTo(app, { transports: ways, cookie, reconnection: true })
    const left = once(socket, 'disconnect')
    const heard = disconnected(client)
    const closed = once(socket.conn, 'close')
    await app.call('POST', '/logout', cookie)
    expect(await heard).toBe('io server disconnect')
    expect(await left).toEqual(['server namespace disconnect', undefined])
    expect(await endOf(context)).toEqual({ reason: 'destroyed', code: 4401 })
    await closed
    expect(client.active).toBe(false)
    expect(app.io.engine.clientsCount).toBe(0)
    expect(app.bridge.stats()).toMatchObject({ sockets: 0, sessions: 0, ended: { destroyed: 1 } })
  })

  it('is one connection, however many namespaces it has, and ends in all of them', async () => {
    const app = await startIo()
    const cookie = await app.login('ada')
    app.io.of('/news')
    const { client, socket } = await connectTo(app, { transports: ways, cookie })
    const news = await connected(client.io.socket('/news'))
    expect(app.bridge.stats()).toMatchObject({ sockets: 1, accepted: 1 })
    const [other] = [...app.io.of('/news').sockets.values()] as [IoSocket]
    expect(other.data.context).toBe(socket.data.context)
    const heard = Promise.all([disconnected(client), disconnected(news)])
    await app.bridge.destroy(socket.data.context.sessionID)
    expect(await heard).toEqual(['io server disconnect', 'io server disconnect'])
    expect(app.io.of('/news').sockets.size).toBe(0)
  })

  it('ends as closed when the client leaves, and "last seen" can still be written', async () => {
    const app = await startIo()
    const cookie = await app.login('ada')
    const { client, socket, context } = await connectTo(app, { transports: ways, cookie })
    const written = new Promise((resolve) => {
      socket.on('disconnect', () => resolve(context.update((session) => void (session.role = 'away'))))
    })
    client.disconnect()
    await written
    expect(await endOf(context)).toMatchObject({ reason: 'closed' })
    expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({ user: 'ada', role: 'away' })
    expect(app.bridge.stats().sockets).toBe(0)
  })

  it('ends with bridge.close() in a way that lets the client come back', async () => {
    const app = await startIo()
    const { client, context } = await connectTo(app, { transports: ways, cookie: await app.login('ada') })
    const heard = disconnected(client)
    await app.bridge.close()
    expect(await heard).toMatch(/^transport (close|error)$/)
    expect(client.active).toBe(true)
    expect(context.ended).toEqual({ reason: 'shutdown', code: 1001 })
    expect(app.io.engine.clientsCount).toBe(0)
    client.disconnect()
  })

  it('ends with 4403 when authorize says no to what the session has become', async () => {
    const app = await startIo({ bridge: { authorize: ({ role }) => role === 'admin' } })
    const cookie = await app.login('ada', 'admin')
    const { client, context } = await connectTo(app, { transports: ways, cookie })
    const heard = disconnected(client)
    await app.call('POST', '/set?key=role&value=guest', cookie)
    expect(await heard).toBe('io server disconnect')
    expect(context.ended).toEqual({ reason: 'forbidden', code: 4403 })
  })
})

describe('bridge.disconnect()', () => {
  it('closes the connections of a user in a way that keeps the client away', async () => {
    const app = await startIo()
    const ada = await connectTo(app, { cookie: await app.login('ada') })
    const grace = await connectTo(app, { cookie: await app.login('grace') })
    const heard = disconnected(ada.client)
    expect(app.bridge.disconnect(({ session }) => session.user === 'ada')).toBe(1)
    expect(await heard).toBe('io server disconnect')
    expect(ada.context.ended).toEqual({ reason: 'disconnected', code: 1008 })
    expect(grace.socket.connected).toBe(true)
  })

  it('lets the client come back where its code says so', async () => {
    const app = await startIo()
    const { client, context } = await connectTo(app, { cookie: await app.login('ada') })
    const heard = disconnected(client)
    app.bridge.disconnect(context.sessionID, { code: 1012 })
    expect(await heard).toBe('transport close')
  })
})

describe('a store that stays away', () => {
  it('ends the connection as unverified, in a way that lets the client come back', async () => {
    const store = new MemoryStore()
    const app = await startIo({ store, bridge: { unverifiedMs: 500 } })
    const { client, context } = await connectTo(app, { cookie: await app.login('ada') })
    const heard = disconnected(client)
    vi.spyOn(store, 'get').mockImplementation((_id, callback) => callback(new Error('away')))
    app.bridge.check()
    expect(await heard).toBe('transport close')
    expect(context.ended).toEqual({ reason: 'unverified', code: 1013 })
  })
})

describe('after the end, nothing is heard', () => {
  it.each(transports)('of what a client sends in the same breath, by %s', async (_name, ways) => {
    const app = await startIo()
    const { client, socket, context } = await connectTo(app, { transports: ways, cookie: await app.login('ada') })
    const heard: string[] = []
    socket.onAny((name: string) => heard.push(`any ${name}`))
    socket.use(([name], next) => {
      heard.push(`use ${name}`)
      next()
    })
    socket.on('first', () => {
      heard.push('first')
      app.bridge.disconnect(context.sessionID)
    })
    socket.on('second', () => heard.push('second'))
    client.emit('first')
    for (const data of ['text', Buffer.from('binary')]) client.emit('second', data)
    await disconnected(client)
    await rest()
    // `onAny` and `use` come earlier than listeners do: what of the second one they hear is from before the end.
    expect(heard).toContain('first')
    expect(heard).not.toContain('second')
  })

  it('at any of the stages between the decoder and the listeners', async () => {
    const app = await startIo()
    const { socket, context } = await connectTo(app, { cookie: await app.login('ada') })
    const heard: string[] = []
    socket.onAny((name: string) => heard.push(`any ${name}`))
    let next: (() => void) | undefined
    socket.use(([name], proceed) => {
      heard.push(`first use ${name}`)
      next = proceed
    })
    socket.use(([name], proceed) => {
      heard.push(`second use ${name}`)
      proceed()
    })
    socket.on('early', () => heard.push('early'))
    socket.on('late', () => heard.push('late'))
    // One is in the midst of a middleware when the end comes.
    receive(socket, event('early'))
    expect(heard.splice(0)).toEqual(['any early', 'first use early'])
    const acknowledged = vi.fn()
    socket.emit('question', acknowledged)
    end(app, context)
    next?.()
    // Others have been decoded and wait for their tick.
    receive(socket, event('late'))
    receive(socket, { type: 3, id: 0, data: ['answer'] })
    await rest()
    expect(heard).toEqual([])
    expect(acknowledged).not.toHaveBeenCalled()
  })

  it('in the very tick in which a listener would have been called', async () => {
    const app = await startIo()
    const { socket, context } = await connectTo(app, { cookie: await app.login('ada') })
    const heard = vi.fn()
    socket.on('late', heard)
    // Socket.IO calls listeners a tick after its last middleware.
    receive(socket, event('late'))
    end(app, context)
    expect(socket.connected).toBe(false)
    await rest()
    expect(heard).not.toHaveBeenCalled()
  })

  it("by whoever listens to Engine.IO's socket itself", async () => {
    const app = await startIo()
    const { client, socket, context } = await connectTo(app, { cookie: await app.login('ada') })
    const heard = vi.fn()
    for (const name of ['data', 'message', 'packet']) socket.conn.on(name, heard)
    client.emit('first')
    await until(() => heard.mock.calls.length === 3)
    end(app, context)
    socket.conn.emit('data', '2["late"]')
    expect(heard).toHaveBeenCalledTimes(3)
  })

  it('in a namespace that a client would connect to, whether it asks then or waits for a middleware', async () => {
    const app = await startIo()
    const heard = vi.fn()
    let proceed: (() => void) | undefined
    app.io.of('/slow').use((_socket, next) => void (proceed = next))
    app.io.of('/slow').on('connection', heard)
    app.io.of('/late').use(heard)
    const { client, socket, context } = await connectTo(app, { cookie: await app.login('ada') })
    client.io.socket('/slow')
    await until(() => proceed !== undefined)
    endBeforeClosing(context)
    void app.io.of('/late')._add(socket.client as never, {}, heard)
    proceed?.()
    await rest()
    expect(heard).not.toHaveBeenCalled()
    expect(app.io.of('/slow').sockets.size).toBe(0)
  })

  it('of a POST that is on its way', async () => {
    const app = await startIo()
    const cookie = await app.login('ada')
    const sid = await openByPolling(app, cookie)
    const connection = once(app.io, 'connection') as Promise<[IoSocket]>
    await poll(app, `&sid=${sid}`, { method: 'POST', body: '40', headers: { cookie } })
    const [socket] = await connection
    const heard = vi.fn()
    socket.onAny(heard)
    socket.on('late', heard)
    let finish!: () => void
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('42["la'))
        finish = () => {
          controller.enqueue(new TextEncoder().encode('te"]'))
          controller.close()
        }
      },
    })
    const posted = poll(app, `&sid=${sid}`, {
      method: 'POST',
      body,
      headers: { cookie },
      duplex: 'half',
    } as RequestInit)
    await until(() => (socket.conn.transport as unknown as { dataReq: unknown }).dataReq !== null)
    app.bridge.disconnect(socket.data.context.sessionID)
    finish()
    await posted.catch(() => undefined)
    await poll(app, `&sid=${sid}`, { method: 'POST', body: '42["late"]', headers: { cookie } })
    await rest()
    expect(heard).not.toHaveBeenCalled()
  })
})

describe('a client that does not answer the end', () => {
  it('is cut after a second, by polling', async () => {
    const app = await startIo()
    const sid = await openByPolling(app, await app.login('ada'))
    const [context] = [...app.bridge.connections()]
    app.bridge.disconnect(context!.sessionID)
    await app.bridge.close()
    expect(app.io.engine).not.toHaveProperty(['clients', sid])
    expect(app.io.engine.clientsCount).toBe(0)
  })

  it('is cut after a second, by websocket', async () => {
    const app = await startIo()
    const { client, socket, context } = await connectTo(app, { cookie: await app.login('ada') })
    const { ws } = client.io.engine.transport as unknown as { ws: { _socket: { pause(): void; resume(): void } } }
    const raw = (socket.conn.transport as unknown as { socket: { readyState: number } }).socket
    ws._socket.pause()
    app.bridge.disconnect(context.sessionID)
    expect(raw.readyState).toBe(2)
    await app.bridge.close()
    await until(() => raw.readyState === 3)
  })
})

describe("a 'disconnect' listener that throws", () => {
  it('is a fault, and the connection ends all the same', async () => {
    const app = await startIo()
    const { client, socket, context } = await connectTo(app, { cookie: await app.login('ada') })
    socket.on('disconnect', () => {
      throw new Error('broken')
    })
    const gone = once(client.io.engine as never, 'close')
    app.bridge.disconnect(context.sessionID)
    await gone
    expect(app.faults).toMatchObject([{ message: 'broken' }])
    await until(() => app.io.engine.clientsCount === 0)
  })
})

describe('the last of many connections', () => {
  // Closing them takes its turns, a hundred at a time.
  const many = 120

  it('is no longer heard while the first ones of its session are being closed', async () => {
    const app = await startIo()
    const cookie = await app.login('ada')
    const sids = await Promise.all(Array.from({ length: many }, () => openByPolling(app, cookie)))
    const { socket, context } = await connectTo(app, { cookie })
    const heard = vi.fn()
    socket.on('late', heard)
    // A tick before its listener is called.
    receive(socket, event('late'))
    end(app, context)
    expect(socket.conn.readyState).toBe('open')
    expect(socket.connected).toBe(false)
    expect(clientsOf(app)[sids.at(-1)!]?.emit('data', '40')).toBe(false)
    await until(() => app.io.engine.clientsCount === 0 || app.io.sockets.sockets.size === 0)
    expect(heard).not.toHaveBeenCalled()
  })

  it('is no longer heard where none has a session and the bridge closes', async () => {
    const app = await startIo({ bridge: { anonymous: 'accept' } })
    await Promise.all(Array.from({ length: many }, () => openByPolling(app)))
    const { socket } = await connectTo(app, {})
    const heard = vi.fn()
    socket.on('late', heard)
    receive(socket, event('late'))
    const closed = app.bridge.close()
    expect(socket.conn.readyState).toBe('open')
    expect(socket.connected).toBe(false)
    await closed
    expect(heard).not.toHaveBeenCalled()
    expect(app.io.engine.clientsCount).toBe(0)
  })
})

describe('a socket that has left its namespace', () => {
  it('is forgotten by its connection, which goes on', async () => {
    const app = await startIo()
    app.io.of('/news')
    const { client, socket, context } = await connectTo(app, { cookie: await app.login('ada') })
    const news = await connected(client.io.socket('/news'))
    // The client of 4.6.0 connects twice, and goes on with the second.
    const left = [...app.io.of('/news').sockets.values()].at(-1)!
    const gone = once(left, 'disconnect')
    news.disconnect()
    await gone
    expect(socket.connected).toBe(true)
    expect(app.bridge.stats().sockets).toBe(1)
    const disconnect = vi.spyOn(left, 'disconnect')
    end(app, context)
    expect(disconnect).not.toHaveBeenCalled()
  })
})

/** Ends the session's connections now. What the store has to do with it is tested elsewhere. */
function end(app: { bridge: { disconnect(sessionID: string): number } }, { sessionID }: { sessionID: string }): void {
  expect(app.bridge.disconnect(sessionID)).toBeGreaterThan(0)
}

/** The instant between the end of a session with many connections and the closing of this one. */
function endBeforeClosing(context: SessionContext): void {
  Object.defineProperty(context, 'ended', { value: { reason: 'destroyed', code: 4401 } })
}

function clientsOf({ io }: IoApp): Record<string, EventEmitter> {
  return (io.engine as unknown as { clients: Record<string, EventEmitter> }).clients
}
