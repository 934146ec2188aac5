/*
 * The request as it is behind express-session, for code that knows nothing else.
 */
import type { IncomingMessage } from 'node:http'

import type { Session, SessionData, Store } from 'express-session'

import { createPrivateSlot } from '../internal/private-slot.js'
import type { SessionContext } from '../live/session-context.js'
import { draftOf } from '../store/snapshot.js'
import { adoptSession } from './guarded-store.js'

/** An upgrade request with what express-session would have put on it. */
export interface SessionRequest extends IncomingMessage {
  /** A real Session, made when it is first read, from what the session is then. `regenerate` is not to be had. */
  session: Session & Partial<SessionData>
  /** The verified session ID. A credential: keep it out of logs, answers and messages. */
  sessionID: string
  /** Your store, except that it writes no session that is gone. */
  sessionStore: Store
}

/** From the request to its context, never the other way: a context must not keep a request alive. */
const contexts = createPrivateSlot<object, SessionContext | undefined>()

/* One accessor for all requests. It gives way to a plain value when it is first used, as any property of a request is. */
const lazySession: PropertyDescriptor & ThisType<SessionRequest> = {
  configurable: true,
  enumerable: true,
  get() {
    const context = contexts.get(this)
    if (context === undefined) return undefined
    const { sessionStore } = this
    // createSession assigns `request.session`, and so comes to the setter.
    return sessionStore.createSession(this as never, draftOf(context.session) as never)
  },
  set(session: unknown) {
    Object.defineProperty(this, 'session', { value: session, configurable: true, enumerable: true, writable: true })
  },
}

/** Puts the session on a request. */
export function putSessionOn(
  request: IncomingMessage,
  context: SessionContext,
  store: Store,
): asserts request is SessionRequest {
  // `authorize` has had it already, and may have read or changed it.
  if (contexts.get(request) === context) return
  contexts.set(request, context)
  const put = request as SessionRequest
  put.sessionID = context.sessionID
  put.sessionStore = store
  Object.defineProperty(request, 'session', lazySession)
}

/** Takes it off again: `authorize` was asked about a session without which the request is let in after all. */
export function takeSessionOff(request: IncomingMessage): void {
  if (contexts.get(request) === undefined) return
  contexts.set(request, undefined)
  for (const name of ['session', 'sessionID', 'sessionStore']) Reflect.deleteProperty(request, name)
}

/** The same for `authorize`, which is asked before the request is let in. */
export function sessionPutter(store: Store): (request: IncomingMessage, context: SessionContext) => void {
  return (request, context) => {
    putSessionOn(request, context, store)
  }
}

/** The requests of contexts from `authenticate()`, until they are bound. Weak: nothing in a context keeps a request alive. */
const requests = createPrivateSlot<SessionContext, WeakRef<IncomingMessage>>()

/** To be called where a request is authenticated and left as it is. */
export function rememberRequest(context: SessionContext, request: IncomingMessage): void {
  requests.set(context, new WeakRef(request))
}

/**
 * To be called when such a context is bound. Its response ends with the session, and express-session would then, with `resave`, save
 * the session that it has loaded for it: after a logout that would bring it back. Through the guarded store it does not.
 */
export function guardBoundRequest(context: SessionContext, store: Store): void {
  const request = requests.get(context)?.deref() as SessionRequest | undefined
  if (request === undefined || !Object.isExtensible(request)) return
  const { session } = request as Partial<SessionRequest>
  if (session === undefined) return putSessionOn(request, context, store)
  // A login of the same request may have given it another session.
  if (session.id !== context.sessionID) return
  request.sessionStore = store
  adoptSession(store, session, context.session)
}
