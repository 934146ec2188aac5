// What the compiler says of sessions; SessionData is declared in test/support/session-data.d.ts.
import { describe, expectTypeOf, it } from 'vitest'
import type {
  Authorize,
  ConnectionListener,
  JsonOf,
  SessionBridge,
  SessionContext,
  SessionDraft,
  SessionSnapshot,
} from 'ws-session-bridge'

describe('types, from declare module to a handler', () => {
  it('give context.session the fields of SessionData', () => {
    expectTypeOf<SessionContext['session']>().toEqualTypeOf<SessionSnapshot>()
    expectTypeOf<SessionSnapshot['user']>().toEqualTypeOf<string | undefined>()
    expectTypeOf<SessionSnapshot['views']>().toEqualTypeOf<number | undefined>()
    expectTypeOf<Parameters<ConnectionListener>[2]['session']['role']>().toEqualTypeOf<string | undefined>()
    expectTypeOf<Parameters<Authorize>[0]>().toEqualTypeOf<SessionSnapshot>()
    expectTypeOf<SessionBridge['load']>().returns.resolves.toEqualTypeOf<SessionSnapshot | undefined>()
  })

  it('know that a Date comes back as a string', () => {
    expectTypeOf<SessionSnapshot['since']>().toEqualTypeOf<string | undefined>()
    expectTypeOf<SessionSnapshot['cookie']['expires']>().toEqualTypeOf<string | null>()
  })

  it('know no field that nobody declared', () => {
    expectTypeOf<SessionSnapshot>().not.toHaveProperty('unknown')
  })

  it('let a draft be changed, not a snapshot', () => {
    expectTypeOf<SessionDraft['user']>().toEqualTypeOf<string | undefined>()
    const change = (snapshot: SessionSnapshot, draft: SessionDraft) => {
      draft.user = 'ada'
      // @ts-expect-error -- read-only
      snapshot.user = 'ada'
      // @ts-expect-error -- read-only all the way down
      snapshot.cookie.path = '/'
    }
    expectTypeOf(change).returns.toBeVoid()
  })

  it('are those of JSON, all the way down', () => {
    interface Basket {
      items: { added: Date; tags: Set<string> }[]
      total(): number
      note: string | undefined
      pair: readonly [Date, undefined]
    }
    expectTypeOf<JsonOf<Basket>>().toEqualTypeOf<{
      items: { added: string; tags: Record<string, never> }[]
      note?: string
      pair: [string, null]
    }>()
  })
})
