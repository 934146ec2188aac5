/*
 * A request's authentication: origin, cookie, session ID, store, `authorize`, in this order. It touches no socket.
 */
import type { IncomingMessage } from 'node:http'

import { asError, StoreUnavailableError } from '../errors.js'
import { asStoreError } from '../internal/call-timeouts.js'
import { permits } from '../live/authorize.js'
import type { EventSink } from '../live/event-sink.js'
import type { LiveSessions } from '../live/live-sessions.js'
import type { Context, ContextKind, FoundSession, Loaded, SessionContext } from '../live/session-context.js'
import type { SessionLease } from '../live/session-lease.js'
import { refusalOf, type Refusal, type RefusalReason } from '../refusals.js'
import { equalIgnoringExpiry } from '../store/session-equality.js'
import type { SessionSnapshot } from '../store/snapshot.js'
import { trace } from '../trace.js'
import { isCookiePath, type CookieSetting } from './cookie-path.js'
import type { OriginCheck } from './origin.js'
import { RequestHandshake } from './request-handshake.js'
import type { SessionCookie, SignedCookie } from './session-cookie.js'

/** What `authenticate()` says of a request. */
export type Verdict =
  /** `context` is undefined for an anonymous request that was accepted. */
  | { readonly accepted: true; readonly context: SessionContext | undefined }
  | { readonly accepted: false; readonly refusal: Refusal }

/** What the authentication asks, stage by stage. */
export interface AuthenticatorDependencies {
  readonly originDenied: OriginCheck
  readonly cookie: SessionCookie
  readonly cookieSetting: CookieSetting
  /** Whether a `cookie` function is shown what X-Forwarded headers say. */
  readonly trustProxy: boolean
  readonly sessions: LiveSessions
  readonly anonymous: 'refuse' | 'accept'
  readonly reports: EventSink
}

/** A session that was found and may connect. */
export interface AuthenticatedSession {
  readonly context: Context
  readonly found: FoundSession
  readonly cookie: SignedCookie
  /** Says whether what was found is still current. Its owner releases it. */
  readonly lease: SessionLease
  readonly handshake: RequestHandshake
}

/** The result of a request's authentication. */
export type AuthResult = AuthenticatedSession | 'anonymous' | Refusal

/** One authentication, as its caller follows it. */
export interface Attempt {
  /** False once the request has been answered in another way: then nothing more is asked. */
  readonly isOpen: boolean
}

/** What the caller of an authentication adds to it. */
export interface AuthenticationScope {
  /** Holds the session from before its load until the caller releases it. */
  readonly lease: SessionLease
  /** The kind of context of the mount; undefined: the bridge's own. */
  readonly kind?: ContextKind | undefined
  /** Called before `authorize` is, with the context that the request is about to get. */
  readonly onSession?: (request: IncomingMessage, context: Context) => void
}

/**
 * So often a session that changes while `authorize` is being asked is loaded and asked about anew. Then it is loaded once more, and
 * let in only if it is what `authorize` has permitted.
 */
const maxQuestions = 3

/** A touch asks for another load, but no question. The deadline comes first, unless a store calls every read of its own a change. */
const maxLoads = 20

/** The refusals that `anonymous: 'accept'` lets through: there is no session, and nothing was forged. */
const anonymousReasons: ReadonlySet<RefusalReason> = new Set(['no-cookie', 'no-session', 'session-expired'])

/** Authenticates requests. */
export class Authenticator {
  readonly #deps: AuthenticatorDependencies

  constructor(dependencies: AuthenticatorDependencies) {
    this.#deps = dependencies
  }

  /** Rejects only for what is no request. */
  async authenticate(
    request: IncomingMessage,
    attempt: Attempt,
    { lease, kind, onSession }: AuthenticationScope,
  ): Promise<AuthResult> {
    const cookie = this.identify(request)
    if ('reason' in cookie) return this.orAnonymous(cookie)
    const { sessionID } = cookie
    const { sessions } = this.#deps
    if (!sessions.limits.hasRoomForHandshake(sessionID)) return refusalOf('too-many-sockets')
    const handshake = new RequestHandshake(request)
    // Watch first, then load: what is reported from here on is not missed.
    try {
      lease.acquire(sessionID)
    } catch (error) {
      this.#deps.reports.fault('live-store', error)
      return refusalOf('store-failed', asStoreError(error))
    }
    const isAsked = sessions.asksAbout(kind)
    let permitted: SessionSnapshot | undefined
    let askedAfter: number | undefined
    let rounds = 0
    for (let loads = 0; loads < maxLoads; loads += 1) {
      let loaded: Loaded
      try {
        loaded = await lease.load()
      } catch (error) {
        return refusalOf('store-failed', asStoreError(error))
      }
      if (typeof loaded === 'string') return this.orAnonymous(refusalOf(loaded))
      trace?.request(request, 'store', 'session found')
      if (!attempt.isOpen) return refusalOf('client-gone')
      const hasExpired = lease.hasExpiredSinceLoad(loaded)
      const isNews = !isSame(permitted, loaded.snapshot)
      if (hasExpired || isNews) rounds += 1
      const isLast = rounds > maxQuestions
      if (hasExpired && isLast) return this.orAnonymous(refusalOf('session-expired'))
      // Only the store can say whether a touch has put it off.
      if (hasExpired) continue
      if (!sessions.limits.hasRoom(loaded)) return refusalOf('too-many-sockets')
      if (isNews) askedAfter = sessions.revalidator.changes.reauthorizations
      const found = isAsked ? { ...loaded, askedAfter } : loaded
      const context = sessions.newContext(found, handshake, kind)
      if (isAsked && isNews && !isLast) {
        onSession?.(request, context)
        const refusal = await this.#authorize(context, found.snapshot, request)
        if (refusal !== undefined) return refusal
      }
      if (!isAsked || !isLast) permitted = found.snapshot
      if (isAsked && lease.hasExpiredSinceLoad(found)) continue
      if (isSame(permitted, found.snapshot) && lease.isCurrent(found))
        return { context, found, cookie, lease, handshake }
      trace?.request(request, 'store', 'changed meanwhile')
      if (isLast) break
    }
    return lease.isRemoved ? this.orAnonymous(refusalOf('no-session')) : refusalOf('store-failed', changesTooFast())
  }

  /** Whose session a request claims, with proof. A request that is refused here causes no store call. */
  identify(request: IncomingMessage): SignedCookie | Refusal {
    const { originDenied, reports } = this.#deps
    let denied: string | undefined
    try {
      denied = originDenied(request)
    } catch (error) {
      reports.fault('origins', error)
      return refusalOf('authorize-failed', asError(error))
    }
    if (denied !== undefined) {
      trace?.request(request, 'origin', denied)
      return refusalOf('origin-denied', new Error(denied))
    }
    trace?.request(request, 'origin', 'allowed')
    const refusal = this.#refusalByPath(request)
    if (refusal !== undefined) return refusal
    const proof = this.#proofIn(request.headers.cookie)
    if ('reason' in proof) return proof
    trace?.request(request, 'cookie', proof.outdated ? 'signed with an older secret' : 'signed', proof.sessionID)
    return proof
  }

  #refusalByPath(request: IncomingMessage): Refusal | undefined {
    const { cookieSetting, trustProxy, reports } = this.#deps
    try {
      return isCookiePath(request, cookieSetting, trustProxy) ? undefined : refusalOf('no-cookie')
    } catch (error) {
      reports.fault('session.cookie', error)
      return refusalOf('authorize-failed', asError(error))
    }
  }

  #proofIn(header: string | undefined): SignedCookie | Refusal {
    const { cookie, reports } = this.#deps
    try {
      const proof = cookie.read(header)
      return typeof proof === 'string' ? refusalOf(proof) : proof
    } catch (error) {
      // express-session answers with an error, too, where the app has put something else into its list of secrets.
      reports.fault('session.secret', error)
      return refusalOf('authorize-failed', asError(error))
    }
  }

  /** What becomes of a request without a session: it may be let in all the same. */
  orAnonymous(refusal: Refusal): Refusal | 'anonymous' {
    return this.#deps.anonymous === 'accept' && anonymousReasons.has(refusal.reason) ? 'anonymous' : refusal
  }

  /* Undefined: it may connect. */
  async #authorize(
    { authorizers, handshake }: Context,
    session: SessionSnapshot,
    request: IncomingMessage,
  ): Promise<Refusal | undefined> {
    try {
      if (!(await permits(authorizers, session, request, handshake))) return refusalOf('forbidden')
      trace?.request(request, 'authorize', 'yes')
      return undefined
    } catch (error) {
      this.#deps.reports.fault('authorize', error)
      return refusalOf('authorize-failed', asError(error))
    }
  }
}

function isSame(permitted: SessionSnapshot | undefined, found: SessionSnapshot): boolean {
  return permitted === found || (permitted !== undefined && equalIgnoringExpiry(permitted, found))
}

function changesTooFast(): Error {
  return new StoreUnavailableError('The session changed each time it was read, faster than it could be verified.')
}
