// What the compiler says of snapshots and drafts, in a program whose SessionData has all that JSON changes or drops.
// SessionData itself is declared in test/support/session-data.d.ts.
import type { SessionData } from 'express-session'
import { describe, expectTypeOf, it } from 'vitest'
import type { JsonOf, SessionContext, SessionCookieData, SessionDraft, SessionSnapshot } from 'ws-session-bridge'

describe('JsonOf, what JSON makes of a type', () => {
  it('leaves strings, numbers, booleans, null and literals as they are', () => {
    expectTypeOf<JsonOf<string | null>>().toEqualTypeOf<string | null>()
    expectTypeOf<JsonOf<{ a: 'x' | 'y'; b: 1; c: true }>>().toEqualTypeOf<{ a: 'x' | 'y'; b: 1; c: true }>()
  })

  it('leaves branded strings and numbers as they are, so that they go on being strings and numbers', () => {
    type UserID = string & { readonly __brand: 'UserID' }
    type Cents = number & { readonly __brand: 'Cents' }
    expectTypeOf<JsonOf<{ id: UserID; price: Cents }>>().toEqualTypeOf<{ id: UserID; price: Cents }>()
    expectTypeOf<JsonOf<{ id: UserID }>['id']>().toExtend<string>()
  })

  it('makes a string of a Date, and of what has a toJSON what that returns', () => {
    expectTypeOf<JsonOf<Date>>().toEqualTypeOf<string>()
    expectTypeOf<JsonOf<Date | number>>().toEqualTypeOf<string | number>()
    expectTypeOf<JsonOf<URL>>().toEqualTypeOf<string>()
    interface Money {
      toJSON(): { amount: number; at: Date }
    }
    expectTypeOf<JsonOf<Money>>().toEqualTypeOf<{ amount: number; at: string }>()
  })

  it('drops functions, symbols and undefined from objects', () => {
    const key: unique symbol = Symbol('key')
    interface Mixed {
      kept: number
      method(): void
      arrow: () => number
      symbol: symbol
      nothing: undefined
      [key]: string
    }
    expectTypeOf<JsonOf<Mixed>>().toEqualTypeOf<{ kept: number }>()
    expectTypeOf(key).toBeSymbol()
  })

  it('keeps what is optional, and makes optional what may be undefined or a function', () => {
    interface Maybe {
      optional?: Date
      either: Date | undefined
      callback: string | (() => string)
    }
    expectTypeOf<JsonOf<Maybe>>().toEqualTypeOf<{ optional?: string; either?: string; callback?: string }>()
  })

  it('has nothing for a bigint, on which JSON throws', () => {
    expectTypeOf<JsonOf<bigint>>().toBeNever()
    expectTypeOf<JsonOf<{ big: bigint }>['big']>().toBeNever()
  })

  it('empties maps, sets and regular expressions', () => {
    expectTypeOf<JsonOf<Map<string, number>>>().toEqualTypeOf<Record<string, never>>()
    expectTypeOf<JsonOf<ReadonlySet<Date>>>().toEqualTypeOf<Record<string, never>>()
    expectTypeOf<JsonOf<RegExp>>().toEqualTypeOf<Record<string, never>>()
  })

  it('goes into arrays and tuples, where null takes the place of what has no JSON', () => {
    expectTypeOf<JsonOf<Date[]>>().toEqualTypeOf<string[]>()
    expectTypeOf<JsonOf<readonly { at: Date }[]>>().toEqualTypeOf<{ at: string }[]>()
    expectTypeOf<JsonOf<(string | undefined)[]>>().toEqualTypeOf<(string | null)[]>()
    expectTypeOf<JsonOf<[Date, () => void]>>().toEqualTypeOf<[string, null]>()
  })

  it('goes all the way down, and through index signatures', () => {
    interface Deep {
      carts: Record<string, { items: { added: Date; remove(): void }[] }>
    }
    expectTypeOf<JsonOf<Deep>>().toEqualTypeOf<{ carts: Record<string, { items: { added: string }[] }> }>()
  })

  it('lets any and unknown be', () => {
    expectTypeOf<JsonOf<unknown>>().toBeUnknown()
    expectTypeOf<JsonOf<{ data: unknown }>>().toEqualTypeOf<{ data: unknown }>()
    expectTypeOf<JsonOf<ReturnType<typeof JSON.parse>>>().toBeAny()
  })
})

describe('a snapshot', () => {
  it('has a branded string as a string', () => {
    expectTypeOf<SessionSnapshot['tenant']>().toEqualTypeOf<SessionData['tenant']>()
    expectTypeOf<SessionSnapshot['tenant']>().toExtend<string | undefined>()
  })

  it('has the fields of SessionData, each of which may be missing', () => {
    expectTypeOf<SessionSnapshot['user']>().toEqualTypeOf<string | undefined>()
    expectTypeOf<SessionSnapshot['since']>().toEqualTypeOf<string | undefined>()
    expectTypeOf<Required<SessionData>['since']>().toEqualTypeOf<Date>()
  })

  it('cannot be written, nowhere', () => {
    const writes = (snapshot: SessionSnapshot, context: SessionContext) => {
      // @ts-expect-error -- read-only
      snapshot.views = 1
      // @ts-expect-error -- read-only
      snapshot.cookie = { originalMaxAge: null, expires: null, path: '/', httpOnly: true }
      // @ts-expect-error -- read-only all the way down
      snapshot.cookie.originalMaxAge = 1
      // @ts-expect-error -- read-only all the way down
      snapshot.cart!.items = []
      // @ts-expect-error -- read-only all the way down
      snapshot.cart!.items[0]!.name = 'tea'
      // @ts-expect-error -- an array that cannot be changed
      snapshot.cart!.items[0] = undefined
      // @ts-expect-error -- read-only
      delete snapshot.user
      // @ts-expect-error -- replaced by the bridge alone
      context.session = snapshot
    }
    expectTypeOf(writes).returns.toBeVoid()
    expectTypeOf<NonNullable<SessionSnapshot['cart']>['items']>().not.toHaveProperty('push')
    expectTypeOf<SessionSnapshot>().not.toHaveProperty('save')
  })

  it('has a cookie of plain data, without the methods of express-session', () => {
    expectTypeOf<SessionSnapshot['cookie']>().toEqualTypeOf<Readonly<SessionCookieData>>()
    expectTypeOf<SessionSnapshot['cookie']['originalMaxAge']>().toEqualTypeOf<number | null>()
    expectTypeOf<SessionSnapshot['cookie']['expires']>().toEqualTypeOf<string | null>()
    expectTypeOf<SessionSnapshot['cookie']['sameSite']>().toEqualTypeOf<
      boolean | 'lax' | 'strict' | 'none' | undefined
    >()
    expectTypeOf<SessionSnapshot['cookie']>().not.toHaveProperty('maxAge')
    expectTypeOf<SessionSnapshot['cookie']>().not.toHaveProperty('serialize')
  })

  it('is no draft, though a draft is a snapshot', () => {
    expectTypeOf<SessionDraft>().toExtend<SessionSnapshot>()
    expectTypeOf<SessionDraft>().not.toEqualTypeOf<SessionSnapshot>()
  })
})

describe('a draft', () => {
  it('can be written, with what JSON can hold', () => {
    const writes = (draft: SessionDraft) => {
      draft.views = (draft.views ?? 0) + 1
      draft.cookie.expires = null
      draft.cart = { items: [{ name: 'tea', added: new Date().toISOString() }] }
      draft.cart.items.push({ name: 'milk', added: new Date().toISOString() })
      delete draft.user
      draft.since = new Date().toISOString()
      // @ts-expect-error -- a string by the time it is read
      draft.since = new Date()
      // @ts-expect-error -- declare it in SessionData first
      draft.unheardOf = 1
    }
    expectTypeOf(writes).returns.toBeVoid()
  })

  it('is changed in place, at once', () => {
    const updates = (context: SessionContext) => {
      void context.update((draft) => {
        draft.role = 'admin'
      })
      // @ts-expect-error -- no promise: await before update, not in it
      void context.update(async (draft) => {
        draft.role = 'admin'
      })
      // @ts-expect-error -- a new session is not what is written
      void context.update((draft) => ({ ...draft, role: 'admin' }))
    }
    expectTypeOf(updates).returns.toBeVoid()
  })
})
