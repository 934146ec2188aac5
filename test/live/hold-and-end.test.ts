import { once } from 'node:events'
import { MemoryStore } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import { createWebSocketStream, type WebSocket } from 'ws'
import type { Authorize, ContextSelector, SessionBridgeOptions, SessionContext, SessionEnd } from 'ws-session-bridge'
import { startApp, type AppOptions } from '../support/app.js'
import { open, refused } from '../support/client.js'
import { createGate, gatedStore, type Gate } from '../support/gate.js'
import { done, PlainConnection, record, rest, startBridge, stopClocks, until } from './bound.js'
import { connect } from './connected.js'
import { TtlStore, type Kept } from './ttl-store.js'

/** An app with one client, and what the server's handler has heard of it. */
async function startTalking(options: AppOptions = {}) {
  const { store, hold } = gatedStore(options.store ?? new MemoryStore())
  const app = await startApp({ ...options, store })
  const cookie = await app.login('ada')
  const { client, context, ws } = await connect(app, cookie)
  const heard: string[] = []
  ws.on('message', (data: Buffer) => heard.push(data.toString()))
  /** Resolves when ws has received what was sent until now. */
  const arrived = async (): Promise<void> => {
    const ponged = once(client.ws, 'pong')
    client.ws.ping()
    await ponged
  }
  const say = async (...texts: string[]): Promise<void> => {
    for (const text of texts) client.ws.send(text)
    await new Promise((resolve) => {
      client.ws.once('drain', resolve)
      setTimeout(resolve, 30)
    })
  }
  return { app, store, hold, cookie, client, context, ws, heard, say, arrived }
}

/** `authorize` that lets in, and whose later answers are given by the test. */
function authorizeByHand() {
  const questions: { gate: Gate; answer: boolean | Error }[] = []
  const authorize: Authorize = async (_session, request) => {
    if (request !== undefined) return true
    const question: { gate: Gate; answer: boolean | Error } = { gate: createGate(), answer: true }
    questions.push(question)
    await question.gate.wait()
    if (question.answer instanceof Error) throw question.answer
    return question.answer
  }
  const answer = async (index: number, how: boolean | Error): Promise<void> => {
    await until(() => questions.length > index)
    questions[index]!.answer = how
    questions[index]!.gate.open()
    await rest()
  }
  return { authorize, questions, answer }
}

describe('between a destroy of this process and its answer, a message', () => {
  it('is dropped when the answer is good, for whoever has signed out', async () => {
    const { app, hold, cookie, client, context, heard, say } = await startTalking()
    const gate = hold('destroy', 'answer')
    const logout = app.call('POST', '/logout', cookie)
    await gate.arrived
    await say('too late')
    expect(context.ended).toBeUndefined()
    gate.open()
    await logout
    expect((await client.closed).code).toBe(4401)
    expect(heard).toEqual([])
  })

  it('is delivered, in order, when the store has not done it', async () => {
    const { app, store, client, context, heard, say } = await startTalking()
    let answer: ((error: Error) => void) | undefined
    vi.spyOn(store, 'destroy').mockImplementation((_id, callback) => (answer = callback as typeof answer))
    // The bridge hears the calls that are made to the store: the one in its place is called by it.
    const destroyed = app.bridge.destroy(context.sessionID)
    await until(() => answer !== undefined)
    await say('one', 'two', 'three')
    expect(heard).toEqual([])
    answer?.(new Error('not done'))
    await expect(destroyed).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await until(() => heard.length === 3)
    expect(heard).toEqual(['one', 'two', 'three'])
    client.ws.send('four')
    await until(() => heard.length === 4)
    expect(context.ended).toBeUndefined()
  })
})

describe('an answered destroy of this process', () => {
  it.each<[string, (app: Awaited<ReturnType<typeof startTalking>>) => Promise<unknown>]>([
    ['an HTTP logout', ({ app, cookie }) => app.call('POST', '/logout', cookie)],
    ['bridge.destroy()', ({ app, context }) => app.bridge.destroy(context.sessionID)],
    ['context.destroy()', ({ context }) => context.destroy()],
  ])('by %s ends the socket though the store never answers another read', async (_how, logOut) => {
    const parts = await startTalking()
    const { store, app, context, heard, say } = parts
    const { get } = store
    await rest()
    // A check that never ends stands before everything that would have to be read.
    vi.spyOn(store, 'get').mockImplementation(() => undefined)
    app.bridge.check()
    vi.spyOn(store, 'get').mockImplementation(get)
    await logOut(parts)
    await say('too late')
    expect(context.ended).toEqual({ reason: 'destroyed', code: 4401 })
    expect(heard).toEqual([])
  })

  it('reads nothing for that where the store calls back before its destroy returns', async () => {
    const store = new MemoryStore()
    const destroy = store.destroy.bind(store)
    store.destroy = (sessionID, callback) => {
      destroy(sessionID)
      callback?.()
    }
    const { context, store: gated, heard, say } = await startTalking({ store })
    const get = vi.spyOn(gated, 'get').mockImplementation(() => undefined)
    await context.destroy()
    await say('too late')
    expect(context.ended).toEqual({ reason: 'destroyed', code: 4401 })
    expect(heard).toEqual([])
    expect(get).not.toHaveBeenCalled()
  })

  it('ends a context at its bind() that authenticate() had loaded before, and reads nothing for that', async () => {
    const { bridge, store, authenticate } = startBridge()
    store.set('id', record())
    const context = await authenticate('id')
    await bridge.destroy('id')
    vi.spyOn(store, 'get').mockImplementation(() => undefined)
    const connection = new PlainConnection()
    bridge.bind(context, connection)
    expect(context.ended).toEqual({ reason: 'destroyed', code: 4401 })
    expect(connection.closings).toEqual([{ code: 4401, reason: 'destroyed' }])
  })
})

describe('a handshake that comes while a destroy of this process is under way', () => {
  it('waits for its answer, and is refused', async () => {
    const { app, store, hold, cookie } = await startTalking()
    const gate = hold('destroy')
    const logout = app.call('POST', '/logout', cookie)
    await gate.arrived
    const get = vi.spyOn(store, 'get')
    const refusal = refused(app.wsUrl, { cookie })
    await until(() => app.bridge.stats().pending === 1)
    await rest()
    expect(get).not.toHaveBeenCalled()
    gate.open()
    expect((await refusal).status).toBe(401)
    await logout
  })
})

describe('while authorize is being asked again, messages', () => {
  it('are held, and delivered in order when it says yes', async () => {
    const { authorize, questions, answer } = authorizeByHand()
    const { app, cookie, client, heard, say } = await startTalking({ bridge: { authorize } })
    await app.call('POST', '/set?key=role&value=admin', cookie)
    await until(() => questions.length === 1)
    await say('one', 'two', 'three')
    expect(heard).toEqual([])
    await answer(0, true)
    await until(() => heard.length === 3)
    expect(heard).toEqual(['one', 'two', 'three'])
    client.ws.send('four')
    await until(() => heard.length === 4)
  })

  it('are dropped when it says no', async () => {
    const { authorize, questions, answer } = authorizeByHand()
    const { app, cookie, client, heard, say } = await startTalking({ bridge: { authorize } })
    await app.call('POST', '/set?key=role&value=guest', cookie)
    await until(() => questions.length === 1)
    await say('too late')
    await answer(0, false)
    expect((await client.closed).code).toBe(4403)
    expect(heard).toEqual([])
  })

  it('stay held where it throws, until it says yes or the socket ends as unverified', async () => {
    const { authorize, questions, answer } = authorizeByHand()
    const { app, cookie, context, heard, say } = await startTalking({ bridge: { authorize } })
    await app.call('POST', '/set?key=role&value=guest', cookie)
    await until(() => questions.length === 1)
    await say('one')
    await answer(0, new Error('a bug'))
    await say('two')
    expect(heard).toEqual([])
    expect(context.ended).toBeUndefined()
    // Tried again by itself.
    await answer(1, true)
    await until(() => heard.length === 2)
    expect(heard).toEqual(['one', 'two'])
  })

  it('are held where it throws at once, as at `request.url` when there is no request', async () => {
    let isMended = false
    const authorize: Authorize = (_session, request) => isMended || (request as { url: string }).url !== ''
    const { app, cookie, context, heard, say } = await startTalking({ bridge: { authorize } })
    await app.call('POST', '/set?key=role&value=guest', cookie)
    await until(() => app.faults.length > 0)
    await say('one')
    expect(heard).toEqual([])
    expect(context.ended).toBeUndefined()
    isMended = true
    await until(() => heard.length === 1)
  })

  it('are held for a change that comes before the answer, too: an older yes releases nothing', async () => {
    const { authorize, questions, answer } = authorizeByHand()
    const { app, cookie, client, heard, say } = await startTalking({ bridge: { authorize } })
    await app.call('POST', '/set?key=role&value=admin', cookie)
    await until(() => questions.length === 1)
    await app.call('POST', '/set?key=role&value=guest', cookie)
    await rest()
    await say('too late')
    await answer(0, true)
    expect(heard).toEqual([])
    await answer(1, false)
    expect((await client.closed).code).toBe(4403)
    expect(heard).toEqual([])
  })

  it('are not held where it answers at once, or where there is none', async () => {
    for (const bridge of [{ authorize: () => true }, {}]) {
      const { app, cookie, ws, client, heard } = await startTalking({ bridge })
      const pause = vi.spyOn(ws, 'pause')
      await app.call('POST', '/set?key=role&value=admin', cookie)
      await rest()
      expect(pause).not.toHaveBeenCalled()
      expect(Object.hasOwn(ws, 'emit')).toBe(false)
      client.ws.send('at once')
      await until(() => heard.length === 1)
    }
  })
})

describe('between a change by this process and its read, a message', () => {
  it('is held where authorize has to be asked, and dropped when it says no', async () => {
    const { app, hold, cookie, client, heard, say } = await startTalking({
      bridge: { authorize: ({ role }) => role !== 'none' },
    })
    const sessionID = app.bridge.readSessionID(cookie)!
    const gate = hold('get')
    await done((callback) => app.store.set(sessionID, record({ user: 'ada', role: 'none' }), callback))
    await gate.arrived
    await rest()
    await say('as before')
    expect(heard).toEqual([])
    gate.open()
    expect((await client.closed).code).toBe(4403)
    expect(heard).toEqual([])
  })
})

describe('an older yes of authorize', () => {
  it('hides no newer failure: the socket ends when unverifiedMs have passed', async () => {
    const pass = stopClocks()
    const answers: (() => Promise<boolean>)[] = []
    const { bind, store } = startBridge({
      unverifiedMs: 1_000,
      authorize: (_session, request) => (request === undefined ? (answers.shift() ?? failing)() : true),
    })
    const older = createGate()
    const failing = async (): Promise<boolean> => {
      throw new Error('a bug')
    }
    answers.push(() => older.wait().then(() => true))
    store.set('id', record({ role: 'admin' }))
    const { context } = await bind('id')
    await rest()
    store.set('id', record({ role: 'admin', views: 1 }))
    await rest()
    store.set('id', record({ role: 'guest' }))
    await rest()
    older.open()
    await rest()
    await pass(1_200, 100)
    expect(context.ended).toEqual({ reason: 'unverified', code: 1013 })
  })
})

describe('between an expiry that has passed and the word of the store, a message', () => {
  async function startExpiring(options: Partial<SessionBridgeOptions> = {}) {
    const pass = stopClocks()
    const data = new Map<string, Kept>()
    const parts = startBridge({ store: new TtlStore(data), keepAlive: 'never', revalidateMs: 1_000_000, ...options })
    parts.store.set('id', record({}, 20_000))
    const calls: string[] = []
    const connection = Object.assign(new PlainConnection(), {
      hold: () => calls.push('hold'),
      release: () => calls.push('release'),
      drop: () => calls.push('drop'),
    })
    const { context } = await parts.bind('id', connection)
    await rest()
    calls.length = 0
    return { ...parts, pass, data, calls, context }
  }

  it('is held, and delivered where the store says that it is not over', async () => {
    const { data, pass, calls, context } = await startExpiring()
    // Another process has touched it: this one has not heard of that.
    data.get('id')!.expiresAt = Date.now() + 60_000
    await pass(20_000)
    expect(calls.slice(0, 2)).toEqual(['hold', 'release'])
    expect(context.ended).toBeUndefined()
  })

  it('is not held again and again for a date that the store has shown to say nothing', async () => {
    const { data, pass, calls, context } = await startExpiring({ authorize: () => true, reauthorizeMs: 10_000 })
    // As connect-redis has it without a LiveStore: a touch moves the store's expiry and leaves the record's date behind.
    data.get('id')!.expiresAt = Infinity
    await pass(25_000)
    calls.length = 0
    await pass(60_000)
    expect(calls).not.toContain('hold')
    expect(context.ended).toBeUndefined()
  })

  it('is dropped where it is', async () => {
    const { pass, calls, context } = await startExpiring()
    await pass(20_000)
    expect(calls).toEqual(['hold', 'drop'])
    expect(context.ended?.reason).toBe('expired')
  })
})

describe('a bound socket', () => {
  it('has its messages held until the store has said once more that the session is there', async () => {
    const { store, hold } = gatedStore(new MemoryStore())
    const app = await startApp({ store, mount: { path: '/other' } })
    const cookie = await app.login('ada')
    const heard: string[] = []
    const bound = createGate()
    const gates: Gate[] = []
    app.server.on('upgrade', (request, socket, head) => {
      void (async () => {
        const verdict = await app.bridge.authenticate(request)
        if (!verdict.accepted) return socket.destroy()
        app.wss.handleUpgrade(request, socket, head, (ws: WebSocket) => {
          ws.on('message', (data: Buffer) => heard.push(data.toString()))
          gates.push(hold('get'))
          app.bridge.bind(verdict.context!, ws)
          void bound.wait()
        })
        return undefined
      })()
    })
    const client = await open(app.wsUrl, { cookie })
    client.ws.send('one')
    await bound.arrived
    await gates[0]!.arrived
    await rest()
    expect(heard).toEqual([])
    gates[0]!.open()
    await until(() => heard.length === 1)
    expect(heard).toEqual(['one'])
  })
})

describe('held messages', () => {
  async function startHeld(options: AppOptions = {}) {
    const { authorize, questions, answer } = authorizeByHand()
    const parts = await startTalking({ ...options, bridge: { authorize, ...options.bridge } })
    await parts.app.call('POST', '/set?key=role&value=admin', parts.cookie)
    await until(() => questions.length === 1)
    const { ws, context } = parts
    /** The socket has one message held back, and is cut. Resolves when its context has ended. */
    const cut = async () => {
      const closed = vi.fn()
      ws.on('close', closed)
      ws.emit('message', Buffer.from('one'), false)
      const ended = once(context, 'end')
      ws.terminate()
      await ended
      return closed
    }
    return { ...parts, answer, cut }
  }

  it('are bounded: a client that goes on sending is not read', async () => {
    const { client, ws, heard, answer } = await startHeld()
    const raw = (ws as unknown as { _socket: { bytesRead: number } })._socket
    const before = raw.bytesRead
    for (let count = 0; count < 200; count += 1) client.ws.send(Buffer.alloc(100_000))
    await rest(100)
    await new Promise((resolve) => {
      setTimeout(resolve, 200)
    })
    // What one read of the socket brings, and not 20 MB.
    expect(raw.bytesRead - before).toBeLessThan(1_000_000)
    await answer(0, true)
    await until(() => heard.length === 200)
  })

  it('leave a socket paused that its user has paused', async () => {
    const { ws, heard, say, answer, client } = await startHeld()
    await say('one')
    ws.pause()
    await answer(0, true)
    expect(ws.isPaused).toBe(true)
    client.ws.send('two')
    await rest()
    const before = heard.length
    ws.resume()
    await until(() => heard.includes('two'))
    expect(before).toBeLessThan(2)
  })

  it('are not let through by a user who resumes the socket', async () => {
    const { ws, heard, say, answer } = await startHeld()
    ws.resume()
    await say('one')
    expect(heard).toEqual([])
    await answer(0, true)
    await until(() => heard.length === 1)
  })

  it('come before the close of a socket that is cut, while its context ends at once', async () => {
    const { ws, context, say, heard, answer } = await startHeld()
    const order: string[] = []
    ws.on('message', (data: Buffer) => order.push(data.toString())).on('close', () => order.push('close'))
    // Received already, and held back.
    ws.emit('message', Buffer.from('one'), false)
    ws.emit('message', Buffer.from('two'), false)
    await say()
    const ended = once(context, 'end') as Promise<[SessionEnd]>
    ws.terminate()
    expect((await ended)[0].reason).toBe('closed')
    expect(order).toEqual([])
    await answer(0, true)
    expect(order).toEqual(['one', 'two', 'close'])
    expect(heard).toEqual(['one', 'two'])
  })

  it('of a socket that was cut are dropped where authorize says no, and its close is told all the same', async () => {
    const { app, context, heard, answer, cut } = await startHeld()
    const closed = await cut()
    await answer(0, false)
    expect(heard).toEqual([])
    expect(closed).toHaveBeenCalledOnce()
    expect(context.ended?.reason).toBe('closed')
    expect(app.bridge.stats()).toMatchObject({ sockets: 0, sessions: 0 })
  })

  it('of a socket that was cut are dropped when its session is destroyed', async () => {
    const { app, context, heard, cut } = await startHeld()
    const closed = await cut()
    await app.bridge.destroy(context.sessionID)
    expect(heard).toEqual([])
    expect(closed).toHaveBeenCalledOnce()
  })

  it('of a socket that was cut wait for what reauthorize() asks later, too: an older yes releases nothing', async () => {
    const { app, heard, answer, cut } = await startHeld()
    await cut()
    expect(app.bridge.reauthorize()).toBe(0)
    await answer(0, true)
    expect(heard).toEqual([])
    await answer(1, false)
    expect(heard).toEqual([])
    expect(app.bridge.stats()).toMatchObject({ sockets: 0, sessions: 0 })
  })

  it.each<[string, (context: SessionContext) => ContextSelector, string[]]>([
    ['of its session', ({ sessionID }) => sessionID, []],
    ['of its user', () => ({ user: 'ada' }), []],
    ['of another user', () => ({ user: 'grace' }), ['one']],
  ])('of a socket that was cut: disconnect() %s leaves of them', async (_whose, which, left) => {
    const { app, context, heard, answer, cut } = await startHeld({ bridge: { identify: ({ user }) => user } })
    const closed = await cut()
    expect(app.bridge.disconnect(which(context))).toBe(0)
    await answer(0, true)
    expect(heard).toEqual(left)
    expect(closed).toHaveBeenCalledOnce()
  })

  it('come before those that arrive later', async () => {
    const { ws, say, heard, answer } = await startHeld()
    // What ws had received when the socket was paused, and what the client sends afterwards.
    for (const text of ['one', 'two']) ws.emit('message', Buffer.from(text), false)
    await say('three', 'four')
    expect(heard).toEqual([])
    await answer(0, true)
    await until(() => heard.length === 4)
    expect(heard).toEqual(['one', 'two', 'three', 'four'])
  })

  it('stop at a handler by which they are held again, and go on from there', async () => {
    const { app, ws, hold, context, heard, answer } = await startHeld()
    const gate = hold('destroy', 'answer')
    ws.once('message', () => {
      app.store.destroy(context.sessionID, () => undefined)
    })
    for (const text of ['one', 'two']) ws.emit('message', Buffer.from(text), false)
    await answer(0, true)
    await gate.arrived
    expect(heard).toEqual(['one'])
    gate.open()
    await until(() => context.ended !== undefined)
    expect(heard).toEqual(['one'])
  })

  it('stop at the handler that ends the session', async () => {
    const { app, ws, context, heard, answer } = await startHeld()
    ws.on('message', () => app.bridge.disconnect(context.sessionID))
    for (const text of ['one', 'two']) ws.emit('message', Buffer.from(text), false)
    await answer(0, true)
    expect(heard).toEqual(['one'])
  })

  it('leave nothing on the socket once they are delivered', async () => {
    const { ws, say, heard, answer } = await startHeld()
    await say('one')
    expect(Object.hasOwn(ws, 'emit')).toBe(true)
    await answer(0, true)
    await until(() => heard.length === 1)
    expect(heard).toEqual(['one'])
    await rest()
    for (const name of ['emit', 'pause', 'resume']) expect(Object.hasOwn(ws, name)).toBe(false)
    expect(ws.isPaused).toBe(false)
  })
})

describe('a stream over a socket', () => {
  it('does not deliver what it has buffered when the session ends', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const { client, context, ws } = await connect(app, cookie)
    const stream = createWebSocketStream(ws)
    const errors: unknown[] = []
    stream.on('error', (error) => errors.push(error))
    client.ws.send('before')
    await until(() => stream.readableLength > 0)
    app.bridge.disconnect(context.sessionID)
    const heard: unknown[] = []
    stream.on('data', (data) => heard.push(data))
    expect(await client.closed).toMatchObject({ reason: 'disconnected' })
    await rest()
    expect(heard).toEqual([])
    expect(errors).toEqual([])
    expect(stream.destroyed).toBe(true)
  })

  it('delivers what it has buffered when the client closes', async () => {
    const app = await startApp()
    const { client, ws } = await connect(app, await app.login('ada'))
    const stream = createWebSocketStream(ws)
    client.ws.send('before')
    client.ws.close()
    await once(ws, 'close')
    const heard: string[] = []
    for await (const data of stream) heard.push((data as Buffer).toString())
    expect(heard).toEqual(['before'])
  })
})

describe('a handler that throws at a message that was held', () => {
  it('is an uncaught exception as any other, and the next message comes all the same', async () => {
    const uncaught: unknown[] = []
    const onUncaught = (error: unknown): void => void uncaught.push(error)
    const others = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException').on('uncaughtException', onUncaught)
    try {
      const { authorize, questions, answer } = authorizeByHand()
      const { app, cookie, ws, heard } = await startTalking({ bridge: { authorize } })
      ws.on('message', (data: Buffer) => {
        if (data.toString() === 'one') throw new Error('of the handler')
      })
      await app.call('POST', '/set?key=role&value=admin', cookie)
      await until(() => questions.length === 1)
      // Received already.
      for (const text of ['one', 'two']) ws.emit('message', Buffer.from(text), false)
      await answer(0, true)
      expect(heard).toEqual(['one', 'two'])
      expect(uncaught).toEqual([new Error('of the handler')])
    } finally {
      process.off('uncaughtException', onUncaught)
      for (const listener of others) process.on('uncaughtException', listener)
    }
  })
})
