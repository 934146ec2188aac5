import { readFileSync } from 'node:fs'
import { MemoryStore, type SessionData } from 'express-session'
import type { CookieOptions } from 'express'
import { describe, expect, it, vi } from 'vitest'
import { createSessionBridge, StoreUnavailableError } from 'ws-session-bridge'
import { createExpressReader } from './authenticate/express-reader.js'
import { requestWith } from './authenticate/request.js'
import { cookieOf, startApp } from './support/app.js'
import { open, refused } from './support/client.js'

describe('readSessionID()', () => {
  it('gives the ID that express-session knows the session by', async () => {
    const app = await startApp()
    app.app.get('/id', (request, response) => response.send(request.sessionID))
    const cookie = await app.login('ada')
    const sessionID = await (await app.call('GET', '/id', cookie)).text()
    expect(app.bridge.readSessionID(cookie)).toBe(sessionID)
    expect(app.bridge.readSessionID(requestWith({ cookie }))).toBe(sessionID)
  })

  it('gives none for a cookie that is absent, empty, unsigned or forged', async () => {
    const { bridge } = await startApp()
    for (const cookie of ['', 'a=b', 'connect.sid=', 'connect.sid=id', 'connect.sid=s:id.forged']) {
      expect(bridge.readSessionID(cookie)).toBeUndefined()
      expect(bridge.readSessionID(requestWith({ cookie }))).toBeUndefined()
    }
    expect(bridge.readSessionID(requestWith({}))).toBeUndefined()
    expect(bridge.readSessionID(requestWith({}).headers.cookie as never)).toBeUndefined()
  })
})

describe('signedCookie()', () => {
  it('makes the very pair that express-session sets', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    expect(app.bridge.signedCookie(app.bridge.readSessionID(cookie)!)).toBe(cookie)
  })

  it('gets a socket in', async () => {
    const app = await startApp()
    const record: SessionData = { cookie: JSON.parse('{"originalMaxAge":null}') as SessionData['cookie'], user: 'job' }
    app.store.set('made by a job', record)
    await open(app.wsUrl, { cookie: app.bridge.signedCookie('made by a job') })
    expect(app.bridge.stats().accepted).toBe(1)
  })

  it.each(['a.b', '会話', 'a;b="c"', ' id ', 'a\u0000b', '%41'])('is read back by both: %j', (sessionID) => {
    const options = { secret: ['new', 'old'], name: 'sid' }
    const bridge = createSessionBridge({ session: { ...options, store: new MemoryStore() } })
    const cookie = bridge.signedCookie(sessionID)
    expect(bridge.readSessionID(cookie)).toBe(sessionID)
    expect(createExpressReader(options)(cookie)).toBe(sessionID)
  })

  it('signs with the first secret', () => {
    const store = new MemoryStore()
    const rotated = createSessionBridge({ session: { store, secret: ['new', 'old'] } })
    const after = createSessionBridge({ session: { store, secret: 'new' } })
    expect(after.readSessionID(rotated.signedCookie('id'))).toBe('id')
  })

  it.each([undefined, null, '', 5, {}])('of %j is a TypeError', async (sessionID) => {
    const { bridge } = await startApp()
    expect(() => bridge.signedCookie(sessionID as string)).toThrow(TypeError)
  })
})

describe('a secret that signs more than sessions', () => {
  it('makes any signed cookie a session cookie, as SECURITY.md says', async () => {
    const app = await startApp()
    app.app.post('/theme', (request, response) => {
      // What cookie-parser leaves for res.cookie().
      Object.assign(request, { secret: 'a secret' })
      const options: CookieOptions = { signed: true }
      response.cookie('theme', request.query.theme, options).end()
    })
    const chosen = cookieOf(await app.call('POST', '/theme?theme=chosen-by-the-user'))
    const cookie = chosen.replace('theme=', 'connect.sid=')
    expect(app.bridge.readSessionID(cookie)).toBe('chosen-by-the-user')
    // The signature holds, yet there is no such session.
    expect((await refused(app.wsUrl, { cookie })).status).toBe(401)
    expect(app.refusals).toEqual([{ reason: 'no-session', status: 401 }])

    const security = readFileSync(new URL('../SECURITY.md', import.meta.url), 'utf8')
    expect(security).toContain('One secret for several cookies')
    expect(security).toContain('res.cookie(name, value, { signed: true })')
  })
})

describe('load()', () => {
  it('gives the session as the store has it now', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const sessionID = app.bridge.readSessionID(cookie)!
    expect(await app.bridge.load(sessionID)).toMatchObject({ user: 'ada' })
    await app.call('POST', '/set?key=role&value=admin', cookie)
    expect(await app.bridge.load(sessionID)).toMatchObject({ user: 'ada', role: 'admin' })
    await app.call('POST', '/logout', cookie)
    expect(await app.bridge.load(sessionID)).toBeUndefined()
  })

  it('gives a snapshot: frozen, Dates as strings', async () => {
    const { bridge, store } = await startApp()
    store.set('id', JSON.parse('{"cookie":{},"since":"1970-01-01T00:00:00.000Z"}') as SessionData)
    const session = await bridge.load('id')
    expect(session?.since).toBe('1970-01-01T00:00:00.000Z')
    expect(Object.isFrozen(session)).toBe(true)
  })

  it('gives none for an unknown ID, or the empty one', async () => {
    const { bridge } = await startApp()
    expect(await bridge.load('unknown')).toBeUndefined()
    expect(await bridge.load('')).toBeUndefined()
  })

  it('gives none, and tells of a fault, for a record that cannot be a session', async () => {
    const app = await startApp()
    app.store.set('id', {} as SessionData)
    expect(await app.bridge.load('id')).toBeUndefined()
    expect(app.faults).toEqual([expect.any(TypeError)])
  })

  it("rejects with StoreUnavailableError when the store fails, and keeps the store's own error as its cause", async () => {
    const { bridge, store } = await startApp()
    const broken = new Error('GET sess:id failed')
    vi.spyOn(store, 'get').mockImplementation((_sessionID, callback) => {
      callback(broken)
    })
    const error: unknown = await bridge.load('id').catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(StoreUnavailableError)
    expect(error).toMatchObject({ name: 'StoreUnavailableError', code: 'STORE_UNAVAILABLE', cause: broken })
    expect((error as Error).message).not.toContain('sess:id')
  })
})
