import type { Request } from 'express'
import { MemoryStore, type SessionData } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import { requestWith } from '../authenticate/request.js'
import { startApp } from '../support/app.js'
import { refused } from '../support/client.js'

async function startWith(record: unknown) {
  const app = await startApp()
  const cookie = app.bridge.signedCookie('id')
  vi.spyOn(app.store, 'get').mockImplementation((_sessionID, callback) => {
    callback(null, structuredClone(record) as SessionData)
  })
  return { ...app, cookie }
}

/** Whether express-session itself can make a session of it. */
function isSessionToExpress(record: unknown): boolean {
  try {
    new MemoryStore().createSession(requestWith({}) as Request, structuredClone(record) as SessionData)
    return true
  } catch {
    return false
  }
}

const circular: Record<string, unknown> = { cookie: {} }
circular.self = circular

describe('a record that is no session', () => {
  it.each<[unknown]>([
    [{}],
    [5],
    ['x'],
    [true],
    [[]],
    [{ user: 'ada' }],
    [{ cookie: null }],
    [{ cookie: 'x' }],
    [{ cookie: 5 }],
    [{ cookie: true }],
    [{ cookie: { maxAge: 'x' } }],
    [{ cookie: { maxAge: {} } }],
  ])('is refused with 401 and a fault, as express-session throws on it: %j', async (record) => {
    const app = await startWith(record)
    expect(isSessionToExpress(record)).toBe(false)
    const { status } = await refused(app.wsUrl, { cookie: app.cookie })
    expect(status).toBe(401)
    expect(app.refusals).toEqual([{ reason: 'no-session', status: 401 }])
    expect(app.faults).toEqual([expect.any(TypeError)])
  })

  it.each([
    ['a circle', circular],
    ['a BigInt', { cookie: {}, big: 1n }],
  ])('is refused with 401 and a fault if it has no JSON: %s', async (_what, record) => {
    const app = await startWith(record)
    expect((await refused(app.wsUrl, { cookie: app.cookie })).status).toBe(401)
    expect(app.faults).toHaveLength(1)
  })
})

describe('a record that is a session', () => {
  it.each<[unknown]>([
    [{ cookie: {} }],
    [{ cookie: '' }],
    [{ cookie: 0 }],
    [{ cookie: false }],
    [{ cookie: [] }],
    [{ cookie: { expires: 'never' } }],
    [{ cookie: { maxAge: 5 } }],
    [{ cookie: { maxAge: null } }],
    [{ cookie: { path: 5, unknown: true } }],
  ])('is let in, as by express-session: %j', async (record) => {
    const { bridge, cookie, faults } = await startWith(record)
    expect(isSessionToExpress(record)).toBe(true)
    expect(await bridge.authenticate(requestWith({ cookie }))).toMatchObject({ accepted: true })
    expect(faults).toEqual([])
  })

  it('has a cookie with the defaults of express-session', async () => {
    const { bridge } = await startWith({ cookie: {} })
    expect((await bridge.load('id'))?.cookie).toEqual({
      originalMaxAge: null,
      expires: null,
      path: '/',
      httpOnly: true,
    })
  })

  it('brings no prototype of its own into the snapshot', async () => {
    const poisoned =
      '{"cookie":{"__proto__":{"a":1}},"__proto__":{"isAdmin":true},"deep":[{"__proto__":{"isAdmin":true}}]}'
    const app = await startApp()
    vi.spyOn(app.store, 'get').mockImplementation((_sessionID, callback) => {
      callback(null, JSON.parse(poisoned) as SessionData)
    })
    const session = await app.bridge.load('id')
    for (const part of [session, session?.cookie, (session as unknown as { deep: object[] }).deep[0]]) {
      expect(Object.getPrototypeOf(part)).toBe(Object.prototype)
      expect(Object.keys(part as object)).not.toContain('__proto__')
      expect(part).not.toHaveProperty('isAdmin')
    }
    expect({}).not.toHaveProperty('isAdmin')
  })
})
