// What the compiler says of a test bridge, to people who write tests with it.
import { describe, expectTypeOf, it } from 'vitest'
import type { WebSocket } from 'ws'
import type { Refusal, SessionBridge, SessionContext } from 'ws-session-bridge'
import { createTestBridge, type TestBridge, type TestUpgrade } from 'ws-session-bridge/testing'

const acceptingAnonymous = () =>
  createTestBridge({ anonymous: 'accept', onConnection: (_ws, _request, context) => context?.session })

describe('a test bridge', () => {
  it('gives a socket and a context without a question mark: a refused upgrade throws when they are read', () => {
    expectTypeOf<TestUpgrade['ws']>().toEqualTypeOf<WebSocket>()
    expectTypeOf<TestUpgrade['context']>().toEqualTypeOf<SessionContext>()
    expectTypeOf<TestUpgrade['refusal']>().toEqualTypeOf<Refusal | undefined>()
    expectTypeOf<ReturnType<typeof createTestBridge>>().toEqualTypeOf<Promise<TestBridge>>()
  })

  it('gives contexts that may be undefined where anonymous requests are accepted', () => {
    expectTypeOf(acceptingAnonymous).toBeFunction()
    type Kit = Awaited<ReturnType<typeof acceptingAnonymous>>
    expectTypeOf<Kit['bridge']>().toEqualTypeOf<SessionBridge<SessionContext | undefined>>()
    expectTypeOf<Awaited<ReturnType<Kit['upgrade']>>['context']>().toEqualTypeOf<SessionContext | undefined>()
  })

  it('takes data as SessionData has it, and options but for what it makes itself', () => {
    type Data = NonNullable<Parameters<TestBridge['cookie']>[0]>
    expectTypeOf<Data['user']>().toEqualTypeOf<string | undefined>()
    expectTypeOf<Data['since']>().toEqualTypeOf<Date | undefined>()
    expectTypeOf<Data>().not.toHaveProperty('cookie')
    type Session = NonNullable<NonNullable<Parameters<typeof createTestBridge>[0]>['session']>
    expectTypeOf<Session>().not.toHaveProperty('secret')
    expectTypeOf<Session>().not.toHaveProperty('store')
    expectTypeOf<Session>().toHaveProperty('rolling')
  })

  it('can be had for one block of code', () => {
    expectTypeOf<TestBridge>().toExtend<AsyncDisposable>()
  })
})
