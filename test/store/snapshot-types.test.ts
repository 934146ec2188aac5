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

describe('the types of snapshots and drafts', () => {
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

  it('have no field that SessionData does not declare', () => {
    expectTypeOf<SessionSnapshot>().not.toHaveProperty('unknown')
  })

  it('allow changes of a draft, but not of a snapshot', () => {
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

  it('are those of JSON at every level', () => {
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
