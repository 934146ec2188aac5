import fc from 'fast-check'
import type { SessionData } from 'express-session'
import { describe, expect, it } from 'vitest'
import { snapshotOf } from '../../src/store/snapshot.js'
import { startApp } from '../support/app.js'
import { open } from '../support/client.js'

const cookie = { originalMaxAge: null, expires: null, path: '/', httpOnly: true }

function expectFrozen(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  expect(Object.isFrozen(value)).toBe(true)
  for (const inner of Object.values(value)) expectFrozen(inner)
}

describe('a snapshot', () => {
  it('shows what an HTTP request wrote', async () => {
    const sessions: unknown[] = []
    const app = await startApp({
      onConnection: (_ws, _request, context) => sessions.push(context.session),
      session: { cookie: { maxAge: 60_000, sameSite: 'lax' } },
    })
    app.app.post('/shop', (request, response) => {
      const { session } = request
      const basket = [{ item: 'pen', sizes: [1, [2]] }, null]
      Object.assign(session, { basket, since: new Date(0), nothing: undefined, method: () => 1 })
      response.json({})
    })
    const header = await app.login('ada', 'admin')
    await app.call('POST', '/shop', header)
    await open(app.wsUrl, { cookie: header })

    expect(sessions).toEqual([
      {
        cookie: {
          // express-session reads the clock twice to set it.
          originalMaxAge: expect.closeTo(60_000, -3) as number,
          expires: expect.stringMatching(/^\d{4}-.*Z$/) as string,
          path: '/',
          httpOnly: true,
          sameSite: 'lax',
        },
        user: 'ada',
        role: 'admin',
        basket: [{ item: 'pen', sizes: [1, [2]] }, null],
        since: '1970-01-01T00:00:00.000Z',
      },
    ])
    expectFrozen(sessions[0])
  })

  it('is a copy, so that the record of the store is neither changed nor frozen', () => {
    const record = { cookie: { originalMaxAge: 5, maxAge: 5 }, deep: [{ a: 1 }] }
    const before = structuredClone(record)
    const snapshot = snapshotOf(record)
    expect(record).toEqual(before)
    expect(Object.isFrozen(record.deep[0])).toBe(false)
    record.deep[0]!.a = 2
    expect(snapshot).toMatchObject({ deep: [{ a: 1 }] })
  })

  it('throws when a handler tries to change it', () => {
    const snapshot = snapshotOf({ cookie: {}, deep: [{ a: 1 }] }) as object as { deep: { a: number }[] }
    expect(() => snapshot.deep.push({ a: 2 })).toThrow(TypeError)
    expect(() => (snapshot.deep[0]!.a = 2)).toThrow(TypeError)
    expect(() => Object.assign(snapshot, { user: 'eve' })).toThrow(TypeError)
  })

  it('equals what JSON brings back, for any data', () => {
    const data = fc.object({
      maxDepth: 3,
      withBoxedValues: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withNullPrototype: true,
      withSparseArray: true,
    })
    fc.assert(
      fc.property(data, (values) => {
        const record = { ...withoutProto(values), cookie }
        const snapshot = snapshotOf(record)
        expect(snapshot).toStrictEqual({ ...(JSON.parse(JSON.stringify(withoutProto(record))) as object), cookie })
        expectFrozen(snapshot)
      }),
      { numRuns: 1_500 },
    )
  })

  it('has null in place of numbers that JSON cannot write', () => {
    const record = { cookie, numbers: [NaN, Infinity, -Infinity, -0, 1e21] }
    expect(snapshotOf(record)).toEqual({ cookie, numbers: [null, null, null, 0, 1e21] })
  })

  it('calls the toJSON of each value once, as JSON does', () => {
    class Money {
      readonly cents: number
      constructor(cents: number) {
        this.cents = cents
      }
      toJSON(): unknown {
        return new Money(this.cents)
      }
    }
    const price = { cents: 5, toJSON: (key: string) => ({ key, ...price }) }
    const record = { cookie, money: new Money(5), price }
    expect(snapshotOf(record)).toEqual({ cookie, money: { cents: 5 }, price: { key: 'price', cents: 5 } })
    expect(snapshotOf(record)).toEqual(JSON.parse(JSON.stringify(record)))
  })

  it('has no methods, even if the store gives a Session object', () => {
    class Live {
      readonly cookie = { ...cookie, toJSON: () => ({ ...cookie, domain: 'app.test' }) }
      readonly user = 'ada'
      touch() {}
    }
    expect(snapshotOf(new Live())).toEqual({ cookie: { ...cookie, domain: 'app.test' }, user: 'ada' })
  })
})

/* A key `__proto__` is dropped on purpose; see records.test.ts. */
function withoutProto(value: object): Partial<SessionData> {
  const isKept = ([key]: [string, unknown]) => key !== '__proto__'
  const inner = (child: unknown): unknown => {
    const isPlain =
      typeof child === 'object' &&
      child !== null &&
      [Object.prototype, null].includes(Object.getPrototypeOf(child) as object | null)
    return isPlain ? withoutProto(child) : Array.isArray(child) ? child.map(inner) : child
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(isKept)
      .map(([key, child]) => [key, inner(child)]),
  )
}
