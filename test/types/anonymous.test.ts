// What the compiler says of a connection's context: it may be missing only where anonymous requests are accepted.
import type { Session, SessionOptions, Store } from 'express-session'
import { describe, expectTypeOf, it } from 'vitest'
import type { WebSocket } from 'ws'
import {
  createSessionBridge,
  type ConnectionListener,
  type MountOptions,
  type SessionBridge,
  type SessionBridgeOptions,
  type SessionContext,
  type SessionRequest,
} from 'ws-session-bridge'

type ListenerOf<B extends SessionBridge<never>> = NonNullable<NonNullable<Parameters<B['attach']>[2]>['onConnection']>
type ContextOf<B extends SessionBridge<never>> = Parameters<ListenerOf<B>>[2]

// For their types alone: nothing here is called.
const bridgeOf = (session: SessionOptions) => createSessionBridge({ session })
const strictBridgeOf = (session: SessionOptions) => createSessionBridge({ session, anonymous: 'refuse' })
const openBridgeOf = (session: SessionOptions) => createSessionBridge({ session, anonymous: 'accept' })

describe('the context of a connection listener', () => {
  it('is a SessionContext where anonymous requests are refused, which is the default', () => {
    expectTypeOf(bridgeOf).returns.toEqualTypeOf<SessionBridge>()
    expectTypeOf(strictBridgeOf).returns.toEqualTypeOf<SessionBridge>()
    expectTypeOf<ContextOf<ReturnType<typeof bridgeOf>>>().toEqualTypeOf<SessionContext>()
    expectTypeOf<Parameters<ConnectionListener>[2]>().toEqualTypeOf<SessionContext>()
  })

  it('may be undefined where they are accepted', () => {
    expectTypeOf(openBridgeOf).returns.toEqualTypeOf<SessionBridge<SessionContext | undefined>>()
    expectTypeOf<ContextOf<ReturnType<typeof openBridgeOf>>>().toEqualTypeOf<SessionContext | undefined>()
  })

  it('cannot be taken for granted there', () => {
    const mounts = (): MountOptions<SessionContext | undefined>[] => [
      { onConnection: (ws, _request, context) => ws.send(context?.session.user ?? 'a stranger') },
      // @ts-expect-error -- `context` may be undefined
      { onConnection: (ws, _request, context) => ws.send(context.session.user ?? '') },
    ]
    expectTypeOf(mounts).returns.not.toBeAny()
  })
})

describe('the request of a connection listener', () => {
  it('has what express-session puts on one', () => {
    expectTypeOf<Parameters<ConnectionListener>>().toEqualTypeOf<[WebSocket, SessionRequest, SessionContext]>()
    expectTypeOf<SessionRequest['session']['user']>().toEqualTypeOf<string | undefined>()
    expectTypeOf<SessionRequest['session']>().toExtend<Session>()
    expectTypeOf<SessionRequest['sessionID']>().toBeString()
    expectTypeOf<SessionRequest['sessionStore']>().toEqualTypeOf<Store>()
  })
})

describe('the options', () => {
  it('take no value that they do not know', () => {
    const options = (session: SessionOptions): SessionBridgeOptions[] => [
      { session, refuseWith: 'close', anonymous: 'accept' },
      // @ts-expect-error -- 'status' or 'close'
      { session, refuseWith: 'http' },
      // @ts-expect-error -- 'refuse' or 'accept'
      { session, anonymous: true },
    ]
    expectTypeOf(options).returns.not.toBeAny()
  })
})
