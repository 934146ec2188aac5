import type { SessionData } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import { requestWith } from '../authenticate/request.js'
import { startApp, type AppOptions } from '../support/app.js'
import { open, refused } from '../support/client.js'
import { forgedFrom } from '../support/forged-cookie.js'
import { startRedisServer, startRedisStore } from '../support/redis.js'

async function startOnRedis(url?: string, options: Omit<AppOptions, 'store'> = {}) {
  const redis = await startRedisStore(url)
  const app = await startApp({ ...options, store: redis.store })
  return { ...redis, ...app }
}

describe('connect-redis', () => {
  it('lets a session in that an HTTP request has made', async () => {
    const users: unknown[] = []
    const app = await startOnRedis(undefined, {
      onConnection: (_ws, _request, context) => users.push(context.session),
      session: { cookie: { maxAge: 60_000 } },
    })
    await open(app.wsUrl, { cookie: await app.login('ada', 'admin') })
    expect(users).toMatchObject([{ user: 'ada', role: 'admin', cookie: { path: '/' } }])
  })

  it('refuses an unknown and a forged cookie, and one that was logged out', async () => {
    const app = await startOnRedis()
    const cookie = await app.login('ada')
    expect((await refused(app.wsUrl, { cookie: app.bridge.signedCookie('unknown') })).status).toBe(401)
    expect((await refused(app.wsUrl, { cookie: forgedFrom(cookie) })).status).toBe(401)
    await app.call('POST', '/logout', cookie)
    expect((await refused(app.wsUrl, { cookie })).status).toBe(401)
    expect(app.refusals.map(({ reason }) => reason)).toEqual(['no-session', 'bad-signature', 'no-session'])
  })

  it('loads a session outside a request', async () => {
    const app = await startOnRedis()
    const sessionID = app.bridge.readSessionID(await app.login('ada'))!
    expect(await app.bridge.load(sessionID)).toMatchObject({ user: 'ada' })
    expect(await app.bridge.load('unknown')).toBeUndefined()
  })

  it('refuses a record that is no JSON with 503, and one that is no session with 401', async () => {
    const app = await startOnRedis()
    const cookie = app.bridge.signedCookie('id')
    await app.client.set(`${app.prefix}id`, '{"cookie":')
    expect((await refused(app.wsUrl, { cookie })).status).toBe(503)
    await app.client.set(`${app.prefix}id`, '{"user":"ada"}')
    expect((await refused(app.wsUrl, { cookie })).status).toBe(401)
    expect(app.refusals.map(({ reason }) => reason)).toEqual(['store-failed', 'no-session'])
    expect(app.faults).toHaveLength(1)
  })

  it('calls back once, even if authorize throws', async () => {
    // It calls its callback a second time, with the error, when the first call throws.
    const broken = new Error('broken')
    const fail = () => {
      throw broken
    }
    const app = await startOnRedis(undefined, { bridge: { authorize: fail } })
    const cookie = await app.login('ada')
    const called = vi.fn()
    const get = app.store.get.bind(app.store)
    vi.spyOn(app.store, 'get').mockImplementation((sessionID, callback) =>
      get(sessionID, (error: unknown, record?: SessionData | null) => {
        called()
        callback(error, record)
      }),
    )
    expect((await refused(app.wsUrl, { cookie })).status).toBe(500)
    expect(called).toHaveBeenCalledOnce()
    expect(app.faults).toEqual([broken])
    expect(app.bridge.stats().refused).toMatchObject({ 'authorize-failed': 1, 'store-failed': 0 })
  })
})

describe('connect-redis while Redis is unavailable', () => {
  it.each(['SIGKILL', 'SIGSTOP'] as const)('refuses with 503, never with 401, after %s', async (signal) => {
    const server = await startRedisServer()
    const app = await startOnRedis(server.url, { bridge: { handshakeTimeoutMs: 1_000 } })
    const cookie = await app.login('ada')
    await open(app.wsUrl, { cookie })

    server.kill(signal)
    for (const header of [cookie, app.bridge.signedCookie('unknown')]) {
      expect((await refused(app.wsUrl, { cookie: header })).status).toBe(503)
      const verdict = await app.bridge.authenticate(requestWith({ cookie: header }))
      expect(verdict).toMatchObject({ accepted: false, refusal: { status: 503 } })
    }
    for (const { reason } of app.refusals) expect(['store-failed', 'timeout']).toContain(reason)
    expect((await refused(app.wsUrl, { cookie: 'connect.sid=s:id.forged' })).status).toBe(401)
    expect(app.bridge.stats()).toMatchObject({ pending: 0, sockets: 1 })
  })

  it('lets sessions in again when Redis is back', async () => {
    const server = await startRedisServer()
    const app = await startOnRedis(server.url, { bridge: { handshakeTimeoutMs: 1_000 } })
    const cookie = await app.login('ada')
    server.kill('SIGSTOP')
    expect((await refused(app.wsUrl, { cookie })).status).toBe(503)
    server.kill('SIGCONT')
    await app.client.ping()
    await open(app.wsUrl, { cookie })
  })
})
