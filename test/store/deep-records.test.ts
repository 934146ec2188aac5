import type { SessionData } from 'express-session'
import { describe, expect, it } from 'vitest'
import type { SessionContext } from 'ws-session-bridge'
import { RecordTooDeepError, snapshotOf } from '../../src/store/snapshot.js'
import { record } from '../live/bound.js'
import { startApp } from '../support/app.js'
import { open, refused } from '../support/client.js'

/** `{"a":{"a":…{}}}`, or arrays in arrays: as many objects inside each other as `levels` says. */
function nested(levels: number, open = '{"a":', inner = '{}', close = '}'): unknown {
  return JSON.parse(open.repeat(levels - 1) + inner + close.repeat(levels - 1))
}

const deepest = 200

describe('a record nested deeper than 200 levels', () => {
  it.each([
    ['objects', nested(deepest), nested(deepest + 1)],
    ['arrays', nested(deepest, '[', '[]', ']'), nested(deepest + 1, '[', '[]', ']')],
  ])('has no snapshot, and one of 200 levels has: %s', (_what, allowed, tooDeep) => {
    expect(snapshotOf({ cookie: {}, allowed })).toMatchObject({ allowed })
    expect(() => snapshotOf({ cookie: {}, tooDeep })).toThrow(RecordTooDeepError)
    expect(() => snapshotOf({ cookie: { tooDeep } })).toThrow(RecordTooDeepError)
  })

  it.each([300, 1_500, 100_000])('of %s levels is refused with 401, and told as a fault', async (levels) => {
    const app = await startApp()
    const cookie = app.bridge.signedCookie('id')
    app.store.get = (_id, callback) => callback(null, { ...record(), draft: nested(levels) } as SessionData)
    expect((await refused(app.wsUrl, { cookie })).status).toBe(401)
    expect(app.refusals).toEqual([{ reason: 'no-session', status: 401 }])
    expect(app.faults).toEqual([expect.objectContaining({ code: 'RECORD_TOO_DEEP' })])
  })

  it('written by HTTP while a socket is open throws nothing into the request or the process', async () => {
    const app = await startApp()
    app.app.post('/draft', (request, response) => {
      Object.assign(request.session, { draft: nested(1_500) })
      response.json({})
    })
    const cookie = await app.login('ada')
    await open(app.wsUrl, { cookie })
    expect((await app.call('POST', '/draft', cookie)).status).toBe(200)
    expect((await app.call('GET', '/me', cookie)).status).toBe(200)
    await expect.poll(() => app.faults).toContainEqual(expect.objectContaining({ code: 'RECORD_TOO_DEEP' }))
  })

  it('leaves an open socket its last snapshot, and ends it as one that could not be checked', async () => {
    const contexts: SessionContext[] = []
    const onConnection = (_ws: unknown, _request: unknown, context: SessionContext) => contexts.push(context)
    const app = await startApp({ onConnection, bridge: { unverifiedMs: 300 } })
    const cookie = await app.login('ada')
    const socket = await open(app.wsUrl, { cookie })
    const [context] = contexts
    app.store.get = (_id, callback) => callback(null, { ...record(), draft: nested(300) } as SessionData)
    app.bridge.check(context!.sessionID)
    expect((await socket.closed).code).toBe(1013)
    expect(context!.ended).toEqual({ reason: 'unverified', code: 1013 })
    expect(context!.session).toMatchObject({ user: 'ada' })
    expect(context!.session).not.toHaveProperty('draft')
    // Told once, however often it was read.
    expect(app.faults).toEqual([expect.objectContaining({ code: 'RECORD_TOO_DEEP' })])
  })
})

describe('what has no JSON, given to update', () => {
  const circle: Record<string, unknown> = {}
  circle.self = [circle]

  it.each([
    ['a circle', { circle }, /nested deeper than 200 levels, or holds itself/],
    ['a BigInt', { big: 1n }, /BigInt/],
    ['2,000 levels', { draft: nested(2_000) }, /nested deeper than 200 levels/],
  ])('is a TypeError that says so, and nothing is written: %s', async (_what, data, message) => {
    const app = await startApp()
    const sessionID = app.bridge.readSessionID(await app.login('ada'))!
    const updating = app.bridge.update(sessionID, (draft) => void Object.assign(draft, data))
    const error: unknown = await updating.catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(TypeError)
    expect(String(error)).toMatch(message)
    expect(String(error)).toMatch(/update: .* nothing was written/)
    expect(await app.bridge.load(sessionID)).toEqual(expect.not.objectContaining(data))
    expect(app.faults).toEqual([])
  })
})
