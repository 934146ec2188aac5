import { once } from 'node:events'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Request, Response } from 'express'
import session, { Session } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import type { ServerOptions } from 'ws'
import { SessionEndedError, type Authorize, type SessionRequest } from 'ws-session-bridge'
import { startApp } from '../support/app.js'
import { open } from '../support/client.js'
import { answerTo, connect, recordOf } from './server-side.js'

describe('request.session', () => {
  it('is made when it is first read, once, and not before', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const createSession = vi.spyOn(app.store, 'createSession')
    const { request } = await connect(app, { cookie })
    expect('session' in request).toBe(true)
    expect(createSession).not.toHaveBeenCalled()
    expect(request.session).toBe(request.session)
    expect(createSession).toHaveBeenCalledOnce()
  })

  it('is a Session with the data, the ID and the cookie of the login', async () => {
    const app = await startApp({ session: { cookie: { maxAge: 60_000, sameSite: 'lax' } } })
    const { request, context } = await connect(app)
    const { session: made } = request
    expect(made).toBeInstanceOf(Session)
    expect(made.user).toBe('ada')
    expect([made.id, request.sessionID]).toEqual([context.sessionID, context.sessionID])
    expect(made.cookie).toMatchObject({ sameSite: 'lax', httpOnly: true, path: '/' })
    // express-session reads the clock twice to set it.
    expect(made.cookie.originalMaxAge).toBeCloseTo(60_000, -3)
    expect(made.cookie).toHaveProperty('expires', expect.any(Date))
    expect(made.cookie.maxAge).toBeGreaterThan(0)
    expect(made.cookie.maxAge).toBeLessThanOrEqual(60_000)
  })

  it('lists the same fields as behind express-session', async () => {
    const app = await startApp()
    let overHTTP: string[] = []
    app.app.get('/fields', (request, response) => {
      overHTTP = Object.keys(request.session)
      response.end()
    })
    const { request, cookie } = await connect(app)
    await app.call('GET', '/fields', cookie)
    expect(Object.keys(request.session).sort()).toEqual(overHTTP.sort())
    expect(Object.keys(request)).toEqual(expect.arrayContaining(['session', 'sessionID', 'sessionStore']))
  })

  it('is what the session is when it is read, not when the socket opened', async () => {
    const app = await startApp()
    const { request, context, cookie } = await connect(app)
    const changed = once(context, 'change')
    await app.call('POST', '/set?key=role&value=admin', cookie)
    await changed
    expect(request.session.role).toBe('admin')
  })

  it('may be changed without a change to the context, and to another request of the session', async () => {
    const app = await startApp()
    const first = await connect(app)
    const second = await connect(app, { cookie: first.cookie })
    first.request.session.user = 'eve'
    expect(first.context.session.user).toBe('ada')
    expect(second.request.session.user).toBe('ada')
  })

  it('can be replaced and deleted like any property of a request', async () => {
    const app = await startApp()
    const { request } = await connect(app)
    const other = Object.assign(Object.create(Session.prototype) as Session, { user: 'bob' })
    request.session = other
    expect(request.session).toBe(other)
    expect(Reflect.deleteProperty(request, 'session')).toBe(true)
    expect(request.session).toBeUndefined()
  })

  it('has what Passport keeps in it', async () => {
    const app = await startApp()
    app.app.post('/passport', (request: Request, response: Response) => {
      Object.assign(request.session, { passport: { user: 7 } })
      response.end()
    })
    const cookie = await app.login('ada')
    await app.call('POST', '/passport', cookie)
    const { request } = await connect(app, { cookie })
    expect(request.session).toMatchObject({ passport: { user: 7 } })
  })

  it('is there before the 101, for verifyClient, handleProtocols and listeners of the headers', async () => {
    const seen: Record<string, string | undefined> = {}
    const see = (where: string, request: IncomingMessage) => {
      seen[where] = (request as SessionRequest).session.user
    }
    const wss: ServerOptions = {
      verifyClient({ req }: { req: IncomingMessage }) {
        see('verifyClient', req)
        return true
      },
      handleProtocols(protocols, request) {
        see('handleProtocols', request)
        return [...protocols][0] ?? false
      },
    }
    const app = await startApp({ wss })
    app.wss.on('headers', (_headers, request) => {
      see('headers', request)
    })
    await connect(app, { cookie: await app.login('ada'), protocols: ['chat'] })
    expect(seen).toEqual({ verifyClient: 'ada', handleProtocols: 'ada', headers: 'ada' })
  })

  it('is there for authorize, which may ask it for its ID as csrf-csrf does, and saves through the guarded store', async () => {
    const seen: unknown[] = []
    const authorize: Authorize = (_session, request) => {
      if (request !== undefined)
        seen.push((request as SessionRequest).session.id, (request as SessionRequest).session.user)
      return true
    }
    const app = await startApp({ bridge: { authorize } })
    const { context, request } = await connect(app)
    expect(seen).toEqual([context.sessionID, 'ada'])
    expect(request.session.id).toBe(context.sessionID)
  })

  it('is there on an upgrade in a listener of the user’s own', async () => {
    const app = await startApp({ mount: { path: '/elsewhere' } })
    app.server.on('upgrade', (request, socket, head) => {
      if (request.url === '/ws') app.bridge.handleUpgrade(app.wss, request, socket, head)
    })
    const { request } = await connect(app)
    expect(request.session.user).toBe('ada')
  })

  it('is not there after authenticate(), which leaves the request as it is', async () => {
    const app = await startApp()
    const request = new IncomingMessage(new Socket())
    request.headers.cookie = await app.login('ada')
    const before = Reflect.ownKeys(request)
    expect(await app.bridge.authenticate(request)).toMatchObject({ accepted: true })
    expect(Reflect.ownKeys(request)).toEqual(before)
  })
})

describe('a session() middleware on the same request', () => {
  it('leaves the session, the ID and the store alone', async () => {
    const app = await startApp()
    const { request } = await connect(app)
    const before = { session: request.session, sessionID: request.sessionID, sessionStore: request.sessionStore }
    const next = vi.fn()
    const response = new ServerResponse(request)
    const untouched = Reflect.ownKeys(response)
    const other = session({ secret: 'another secret', resave: true, saveUninitialized: true, store: app.store })
    // By which the middleware would make a new session.
    const generate = vi.fn()
    Object.assign(app.store, { generate })
    other(request as Request, response as Response, next)
    expect(next).toHaveBeenCalledExactlyOnceWith()
    expect(Reflect.ownKeys(response)).toEqual(untouched)
    expect(generate).not.toHaveBeenCalled()
    expect(request.session).toBe(before.session)
    expect(request.sessionID).toBe(before.sessionID)
    expect(request.sessionStore).toBe(before.sessionStore)
  })

  it('leaves a session alone that was not read yet', async () => {
    const app = await startApp()
    const { request, context } = await connect(app)
    const next = vi.fn()
    session(app.sessionOptions)(request as Request, new ServerResponse(request) as Response, next)
    expect(next).toHaveBeenCalledExactlyOnceWith()
    expect([request.session.user, request.sessionID]).toEqual(['ada', context.sessionID])
  })
})

describe('request.session.save()', () => {
  it('writes what a handler changed, so that HTTP sees it', async () => {
    const app = await startApp()
    const { request, context, cookie } = await connect(app)
    request.session.views = 3
    const { error } = await answerTo((callback) => request.session.save(callback))
    expect(error).toBeNull()
    expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({ user: 'ada', views: 3 })
    expect(context.session.views).toBe(3)
  })

  it('works without a callback', async () => {
    const app = await startApp()
    const { request, context } = await connect(app)
    const changed = once(context, 'change')
    request.session.views = 4
    expect(request.session.save()).toBe(request.session)
    await changed
    expect(await recordOf(app, context.sessionID)).toMatchObject({ user: 'ada', views: 4 })
  })

  it('removes what a handler deleted', async () => {
    const app = await startApp()
    const { request, cookie } = await connect(app)
    delete request.session.user
    await answerTo((callback) => request.session.save(callback))
    expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({})
  })

  it('leaves alone what others wrote meanwhile to other fields', async () => {
    const app = await startApp()
    const { request, cookie } = await connect(app)
    request.session.views = 1
    await app.call('POST', '/set?key=role&value=admin', cookie)
    await app.call('POST', '/set?key=user&value=countess', cookie)
    await answerTo((callback) => request.session.save(callback))
    expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({ user: 'countess', role: 'admin', views: 1 })
  })

  it('writes what a handler changed since its last save, and nothing that it saved before', async () => {
    const app = await startApp()
    const { request, cookie } = await connect(app)
    request.session.role = 'admin'
    await answerTo((callback) => request.session.save(callback))
    await app.call('POST', '/set?key=role&value=guest', cookie)
    request.session.views = 1
    await answerTo((callback) => request.session.save(callback))
    expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({ user: 'ada', role: 'guest', views: 1 })
  })

  it('in quick succession ends with what the session was last', async () => {
    const app = await startApp()
    const { request, cookie } = await connect(app)
    const saved: Promise<{ error: unknown }>[] = []
    for (const user of ['bob', 'ada', 'carl', 'ada']) {
      request.session.user = user
      saved.push(answerTo((callback) => request.session.save(callback)))
    }
    expect(await Promise.all(saved)).toMatchObject(saved.map(() => ({ error: null })))
    expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({ user: 'ada' })
  })

  it('writes a change again that the store had not taken', async () => {
    const app = await startApp()
    const { request, cookie } = await connect(app)
    request.session.role = 'admin'
    const set = vi.spyOn(app.store, 'set').mockImplementationOnce((_sessionID, _session, callback) => {
      callback?.(new Error('no store'))
    })
    const failed = await answerTo((callback) => request.session.save(callback))
    expect(failed.error).toMatchObject({ code: 'STORE_UNAVAILABLE', cause: { message: 'no store' } })
    set.mockRestore()
    expect((await answerTo((callback) => request.session.save(callback))).error).toBeNull()
    expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({ user: 'ada', role: 'admin' })
  })

  it('writes a new maxAge, and the store’s expiry follows', async () => {
    const app = await startApp({ session: { cookie: { maxAge: 60_000 } } })
    const { request, context } = await connect(app)
    request.session.cookie.maxAge = 3_600_000
    await answerTo((callback) => request.session.save(callback))
    const { cookie } = context.session
    expect(cookie.originalMaxAge).toBeGreaterThan(3_590_000)
    expect(Date.parse(cookie.expires!)).toBeGreaterThan(Date.now() + 3_590_000)
  })

  it('says so when the session holds what no store can keep', async () => {
    const app = await startApp()
    const { request, context } = await connect(app)
    Object.assign(request.session, { big: 1n })
    const { error } = await answerTo((callback) => request.session.save(callback))
    expect(error).toBeInstanceOf(TypeError)
    expect(await recordOf(app, context.sessionID)).not.toHaveProperty('big')
  })

  it('still works in a close handler, for a "last seen"', async () => {
    const app = await startApp()
    const { client, ws, request, cookie } = await connect(app)
    const closed = once(ws, 'close')
    client.ws.close(1000)
    await closed
    request.session.role = 'was here'
    expect((await answerTo((callback) => request.session.save(callback))).error).toBeNull()
    expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({ user: 'ada', role: 'was here' })
  })
})

describe('after a logout', () => {
  it('save() from a handler calls back with SessionEndedError, and the store stays empty', async () => {
    const app = await startApp()
    const { client, request, cookie } = await connect(app)
    const { session: held } = request
    await app.call('POST', '/logout', cookie)
    expect((await client.closed).code).toBe(4401)
    held.views = 1
    const { error } = await answerTo((callback) => held.save(callback))
    expect(error).toBeInstanceOf(SessionEndedError)
    expect(error).toMatchObject({ code: 'SESSION_ENDED' })
    expect(await answerTo((callback) => app.store.length!(callback))).toEqual({ error: null, value: 0 })
  })

  it('a session that is first read then is the last one, and cannot be saved either', async () => {
    const app = await startApp()
    const { client, request, cookie } = await connect(app)
    await app.call('POST', '/logout', cookie)
    await client.closed
    expect(request.session.user).toBe('ada')
    const { error } = await answerTo((callback) => request.session.save(callback))
    expect(error).toBeInstanceOf(SessionEndedError)
    expect(await answerTo((callback) => app.store.length!(callback))).toEqual({ error: null, value: 0 })
  })

  it('of which the bridge was not told, save() finds out for itself, and ends the socket', async () => {
    const app = await startApp()
    const { client, request, context } = await connect(app)
    const sessions = Reflect.get(app.store, 'sessions') as Record<string, string>
    Reflect.deleteProperty(sessions, context.sessionID)
    const { error } = await answerTo((callback) => request.session.save(callback))
    expect(error).toBeInstanceOf(SessionEndedError)
    expect(Object.keys(sessions)).toEqual([])
    expect(await client.closed).toEqual({ code: 4401, reason: 'destroyed' })
  })

  it('reload() says that there is no longer a session', async () => {
    const app = await startApp()
    const { client, request, cookie } = await connect(app)
    const { session: held } = request
    await app.call('POST', '/logout', cookie)
    await client.closed
    const { error } = await answerTo((callback) => held.reload(callback))
    expect(error).toMatchObject({ message: 'failed to load session' })
  })
})

describe('the other methods of request.session', () => {
  it('reload() puts the session on the request as the store has it', async () => {
    const app = await startApp()
    const { request, cookie } = await connect(app)
    const { session: before } = request
    before.user = 'not saved'
    await app.call('POST', '/set?key=role&value=admin', cookie)
    const { error } = await answerTo((callback) => before.reload(callback))
    expect(error).toBeUndefined()
    expect(request.session).not.toBe(before)
    expect(request.session).toMatchObject({ user: 'ada', role: 'admin' })
  })

  it('save() after reload() writes what was changed since', async () => {
    const app = await startApp()
    const { request, cookie } = await connect(app)
    await answerTo((callback) => request.session.reload(callback))
    request.session.views = 1
    await app.call('POST', '/set?key=role&value=admin', cookie)
    await answerTo((callback) => request.session.save(callback))
    expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({ user: 'ada', role: 'admin', views: 1 })
  })

  it('touch() renews the maxAge of its cookie, and a save() after it does so in the store', async () => {
    const app = await startApp({ session: { cookie: { maxAge: 60_000 } } })
    const { request, context } = await connect(app)
    request.session.cookie.maxAge = 1_000
    request.session.cookie.originalMaxAge = 60_000
    expect(request.session.touch()).toBe(request.session)
    expect(request.session.cookie.maxAge).toBeGreaterThan(50_000)
    const before = Date.parse(context.session.cookie.expires!)
    await vi.waitUntil(() => Date.now() > before - 60_000 + 5, { interval: 2, timeout: 5_000 })
    await answerTo((callback) => request.session.save(callback))
    expect(Date.parse(context.session.cookie.expires!)).toBeGreaterThan(before)
  })

  it('destroy() signs out: the session is gone, and its sockets with it', async () => {
    const app = await startApp()
    const { client, request, context, cookie } = await connect(app)
    const other = await connect(app, { cookie })
    const { error } = await answerTo((callback) => request.session.destroy(callback))
    expect(error).toBeNull()
    expect(request.session).toBeUndefined()
    expect(await recordOf(app, context.sessionID)).toBeUndefined()
    expect(await client.closed).toEqual({ code: 4401, reason: 'destroyed' })
    expect(await other.client.closed).toEqual({ code: 4401, reason: 'destroyed' })
  })

  it('regenerate() says that a socket cannot set a cookie, and leaves everything as it is', async () => {
    const app = await startApp()
    const { client, request, context } = await connect(app)
    const { error } = await answerTo((callback) => request.session.regenerate(callback))
    expect(error).toMatchObject({ message: expect.stringMatching(/no response .* cookie.* HTTP request/) as string })
    expect(await recordOf(app, context.sessionID)).toMatchObject({ user: 'ada' })
    expect(client.ws.readyState).toBe(client.ws.OPEN)
    const generate = Reflect.get(request.sessionStore, 'generate') as (request: unknown) => void
    expect(() => {
      generate(request)
    }).toThrow(/no response/)
  })
})

describe('a callback that throws', () => {
  it.each(['save', 'reload', 'destroy', 'regenerate'] as const)(
    'after %s() is an uncaught exception as with any store, and no unhandled rejection',
    async (method) => {
      const app = await startApp()
      const { request } = await connect(app)
      const told = nextUncaught()
      request.session[method](() => {
        throw new Error('the callback is broken')
      })
      expect(await told).toEqual({ event: 'uncaughtException', message: 'the callback is broken' })
    },
  )
})

/** What the process tells next of what was not caught, in place of its other listeners. */
async function nextUncaught(): Promise<{ event: string; message: string }> {
  const events = ['uncaughtException', 'unhandledRejection'] as const
  const others = events.map((event) => ({ event, listeners: process.rawListeners(event) }))
  try {
    return await new Promise((resolve) => {
      for (const event of events) {
        process.removeAllListeners(event)
        process.on(event, (error: Error) => {
          resolve({ event, message: error.message })
        })
      }
    })
  } finally {
    for (const { event, listeners } of others) {
      process.removeAllListeners(event)
      for (const listener of listeners) process.on(event, listener as (error: Error) => void)
    }
  }
}

describe('the request', () => {
  it('is kept alive by nothing once it is handled, though its context is held and its session was saved', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const app = await startApp()
    const requests: WeakRef<object>[] = []
    app.wss.on('connection', (_ws, request: SessionRequest) => {
      requests.push(new WeakRef(request))
      request.session.views = (request.session.views ?? 0) + 1
      request.session.save()
    })
    const cookie = await app.login('ada')
    const clients = [await open(app.wsUrl, { cookie }), await open(app.wsUrl, { cookie })]
    const contexts = [...app.bridge.connections()]
    await vi.waitUntil(
      () => {
        collect()
        return requests.every((request) => request.deref() === undefined)
      },
      { interval: 10, timeout: 5_000 },
    )
    expect(requests).toHaveLength(2)
    expect(contexts.map((context) => context.session.user)).toEqual(['ada', 'ada'])
    expect(clients.map(({ ws }) => ws.readyState)).toEqual([1, 1])
  })
})
