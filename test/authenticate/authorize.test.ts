import { describe, expect, it, vi } from 'vitest'
import type { Authorize } from 'ws-session-bridge'
import { record, rest, stopClocks, until } from '../live/bound.js'
import { ByHandLiveStore, stored } from '../live/by-hand-live-store.js'
import { sessionIDOf } from '../live/connected.js'
import { startApp } from '../support/app.js'
import { open, refused } from '../support/client.js'
import { createGate, gatedStore } from '../support/gate.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'
import { requestWith } from './request.js'

const isAdmin: Authorize = (session) => session.role === 'admin'

describe('authorize', () => {
  it.each([
    ['at once', isAdmin],
    ['later', (...asked: Parameters<Authorize>) => Promise.resolve(isAdmin(...asked))],
  ])('decides by what the session says, %s', async (_when, authorize) => {
    const app = await startApp({ bridge: { authorize } })
    await open(app.wsUrl, { cookie: await app.login('ada', 'admin') })
    const { status } = await refused(app.wsUrl, { cookie: await app.login('bob') })
    expect(status).toBe(403)
    expect(app.refusals).toEqual([{ reason: 'forbidden', status: 403 }])
    expect(app.faults).toEqual([])
  })

  it('is asked with the session, the request and the handshake', async () => {
    const authorize = vi.fn<Authorize>(() => true)
    const app = await startApp({ bridge: { authorize } })
    const before = Date.now()
    const url = `${app.wsUrl}?room=1`
    await open(url, { cookie: await app.login('ada'), origin: app.url })

    expect(authorize).toHaveBeenCalledOnce()
    const [session, request, handshake] = authorize.mock.calls[0]!
    expect(session.user).toBe('ada')
    expect(request).toMatchObject({ method: 'GET', url: '/ws?room=1', headers: { upgrade: 'websocket' } })
    expect(handshake).toEqual({
      url: '/ws?room=1',
      origin: app.url,
      remoteAddress: '127.0.0.1',
      at: expect.any(Number) as number,
    })
    expect(Object.isFrozen(handshake)).toBe(true)
    expect(handshake.at).toBeGreaterThanOrEqual(before)
    expect(handshake.at).toBeLessThanOrEqual(Date.now())
  })

  it('is not asked where there is no session', async () => {
    const authorize = vi.fn<Authorize>(() => true)
    const app = await startApp({ bridge: { authorize } })
    await refused(app.wsUrl)
    await refused(app.wsUrl, { cookie: app.bridge.signedCookie('unknown') })
    expect(authorize).not.toHaveBeenCalled()
  })

  it('is asked again about a session that has changed meanwhile, three times at most; what it has not seen is not let in', async () => {
    const asked: (number | undefined)[] = []
    const app = await startApp({
      bridge: {
        authorize: async ({ views }) => {
          asked.push(views)
          await app.bridge.update(sessionID, (draft) => void (draft.views = asked.length))
          return true
        },
      },
    })
    const cookie = await app.login('ada')
    const sessionID = sessionIDOf(app, cookie)
    expect((await refused(app.wsUrl, { cookie })).status).toBe(503)
    expect(asked).toEqual([undefined, 1, 2])
    expect(app.refusals).toMatchObject([{ reason: 'store-failed', error: { code: 'STORE_UNAVAILABLE' } }])
    expect(app.bridge.stats()).toMatchObject({ accepted: 0, pending: 0, sessions: 0 })
  })

  it('is asked once about a session that is only touched meanwhile', async () => {
    const pass = stopClocks()
    let asked = 0
    const app = await startApp({
      session: { cookie: { maxAge: 60_000 } },
      bridge: {
        authorize: async () => {
          asked += 1
          await pass(2_000)
          await app.call('GET', '/me', cookie)
          return true
        },
      },
    })
    const cookie = await app.login('ada')
    const { ws } = await open(app.wsUrl, { cookie })
    expect(ws.readyState).toBe(ws.OPEN)
    expect(asked).toBe(1)
  })

  it('lets a session in that is reported during more loads than it may have questions, since it is the same each time', async () => {
    const live = new ByHandLiveStore()
    let asked = 0
    const app = await startApp({ bridge: { live, authorize: () => (asked += 1) > 0 } })
    const opening = open(app.wsUrl, { cookie: app.bridge.signedCookie('id') })
    for (let loads = 1; loads <= 8; loads += 1) {
      await until(() => live.gets.length === loads)
      if (loads < 8) live.report('id')
      live.gets[loads - 1]?.answer(stored(record()))
    }
    await opening
    expect(asked).toBe(1)
  })

  it('refuses a session of a store that reports during every load of its own', async () => {
    const live = new ByHandLiveStore()
    const get = vi.spyOn(live, 'get').mockImplementation((sessionID) => {
      live.report(sessionID)
      return Promise.resolve(stored(record()))
    })
    const app = await startApp({ bridge: { live, authorize: () => true } })
    expect((await refused(app.wsUrl, { cookie: app.bridge.signedCookie('id') })).status).toBe(503)
    expect(app.refusals).toMatchObject([{ reason: 'store-failed' }])
    expect(get.mock.calls.length).toBeLessThan(30)
  })

  it('opens no socket for a session that is logged out while it is asked the third time', async () => {
    let asked = 0
    const app = await startApp({
      bridge: {
        authorize: async () => {
          asked += 1
          // A change each time; the third time the logout.
          if (asked < 3) await app.call('POST', `/set?key=role&value=${asked}`, cookie)
          else await app.call('POST', '/logout', cookie)
          return true
        },
      },
    })
    const connected = vi.fn()
    app.wss.on('connection', connected)
    const cookie = await app.login('ada')
    expect((await refused(app.wsUrl, { cookie })).status).toBe(401)
    expect(connected).not.toHaveBeenCalled()
    expect(app.refusals).toMatchObject([{ reason: 'no-session' }])
  })

  it('is not asked about a request that has been answered meanwhile', async () => {
    const authorize = vi.fn<Authorize>(() => true)
    const app = await startApp({ bridge: { handshakeTimeoutMs: 30, authorize } })
    const cookie = await app.login('ada')
    const gate = gatedStore(app.store).hold('get', 'answer')
    const verdict = await app.bridge.authenticate(requestWith({ cookie }))
    expect(verdict).toMatchObject({ refusal: { reason: 'timeout' } })
    gate.open()
    await rest()
    expect(authorize).not.toHaveBeenCalled()
  })

  it.each([false, null, undefined, 0, ''])('refuses with 403 when it answers %j', async (answer) => {
    const app = await startApp({ bridge: { authorize: () => answer as boolean } })
    const { status } = await refused(app.wsUrl, { cookie: await app.login('ada') })
    expect(status).toBe(403)
  })

  const broken = new Error('authorize is broken')
  it.each<[string, () => unknown, unknown]>([
    [
      'throws',
      () => {
        throw broken
      },
      broken,
    ],
    ['rejects', () => Promise.reject(broken), broken],
    [
      'rejects with what is no Error',
      () => new Promise((_, reject) => (reject as (reason: unknown) => void)('a string')),
      expect.any(Error),
    ],
    ['answers with a string', () => 'yes', expect.any(TypeError)],
    ['answers with an object', () => ({ user: 'ada' }), expect.any(TypeError)],
    ['promises a 1', () => Promise.resolve(1), expect.any(TypeError)],
  ])('refuses with 500 and tells of a fault when it %s', async (_what, authorize, error) => {
    const app = await startApp({ bridge: { authorize: authorize as Authorize } })
    const { status } = await refused(app.wsUrl, { cookie: await app.login('ada') })
    expect(status).toBe(500)
    expect(app.refusals).toEqual([{ reason: 'authorize-failed', status: 500, error }])
    expect(app.faults).toEqual([error])
    expect(app.bridge.stats().faults).toBe(1)
  })

  it('that answers too late opens nothing', async () => {
    const gate = createGate()
    const app = await startApp({
      // Long enough that a busy machine has asked authorize by then.
      bridge: { handshakeTimeoutMs: 1_000, authorize: () => gate.wait().then(() => true) },
      onConnection: () => expect.unreachable('a socket was let in'),
    })
    const request = rawRequest(app.port, upgradeRequest({ cookie: await app.login('ada') }))
    await gate.arrived
    expect(await request.received()).toMatch(/^HTTP\/1\.1 503 /)
    gate.open()
    const { accepted, pending, refused: counts } = app.bridge.stats()
    expect([accepted, pending, counts.timeout]).toEqual([0, 0, 1])
    expect(app.refusals).toHaveLength(1)
  })
})
