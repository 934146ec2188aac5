/*
 * The handshake alone: origin, cookie, session ID, store, authorize, in this order.
 */
import type { IncomingMessage } from 'node:http'

import { asError } from '../errors.js'
import { permits, type Authorize } from '../live/authorize.js'
import type { FoundSession, HandshakeInfo, SessionContext } from '../live/session-context.js'
import type { Loaded } from '../live/session-operations.js'
import type { EventSink } from '../live/event-sink.js'
import type { LiveSessions } from '../live/live-sessions.js'
import { asStoreError } from '../internal/call-timeouts.js'
import type { SessionSnapshot } from '../store/snapshot.js'
import { trace } from '../trace.js'
import { refusalOf, type Refusal, type RefusalReason } from '../refusals.js'
import { isCookiePath, type CookieSetting } from './cookie-path.js'
import type { SessionCookie, SignedCookie } from './session-cookie.js'
import type { OriginCheck } from './origin.js'
import type { SessionLease } from '../live/session-lease.js'

/** What `authenticate()` says of a request. */
export type Verdict =
  /** `context` is undefined for an anonymous request that was accepted. */
  | { readonly accepted: true; readonly context: SessionContext | undefined }
  | { readonly accepted: false; readonly refusal: Refusal }

/** What the handshake asks, stage by stage. */
export interface AuthenticatorDependencies {
  readonly isOriginAllowed: OriginCheck
  readonly cookie: SessionCookie
  readonly cookieSetting: CookieSetting
  readonly sessions: LiveSessions
  readonly authorize: Authorize | undefined
  readonly anonymous: 'refuse' | 'accept'
  readonly reports: EventSink
}

/** A session that was found and may connect. */
export interface AuthenticatedSession {
  readonly found: FoundSession
  readonly handshake: HandshakeInfo
  /** The cookie was signed by another secret than the first. */
  readonly outdated: boolean
  /** How many reports of the session there had been when it was loaded. */
  readonly reports: number
}

/** How a request was judged. */
export type AuthResult = AuthenticatedSession | 'anonymous' | Refusal

/** A handshake's place among those under way. */
export interface Place {
  /** False once the request has been answered otherwise: then nobody is asked any more. */
  readonly isOpen: boolean
}

/** With so many changes between load and 101, the session is let in as it is and checked right after. */
const maxLoads = 3

/** The refusals that `anonymous: 'accept'` lets through: there is no session, and nothing was forged. */
const anonymousReasons: ReadonlySet<RefusalReason> = new Set(['no-cookie', 'no-session', 'session-expired'])

/** The stages between the upgrade and the 101. */
export class Handshake {
  readonly #deps: AuthenticatorDependencies

  constructor(parts: AuthenticatorDependencies) {
    this.#deps = parts
  }

  /**
   * Judges a request. Never rejects. With a visit, the session is watched from before its load.
   */
  async judge(request: IncomingMessage, place: Place, visit?: SessionLease): Promise<AuthResult> {
    const proof = this.identify(request)
    if ('reason' in proof) return this.#orAnonymous(proof)
    const { sessionID, outdated } = proof
    const { sessions, authorize } = this.#deps
    const { operations } = sessions
    if (!sessions.hasRoom(sessionID)) return refusalOf('too-many-sockets')
    const handshake = handshakeInfoOf(request)
    // Watch first, then load: what is reported from here on is not missed.
    const live = visit?.enter(sessionID)
    for (let loads = 1; ; loads += 1) {
      const reports = live?.version ?? 0
      const begunAt = operations.now
      let found: Loaded
      try {
        found = operations.loaded(sessionID, await operations.readForHandshake(sessionID, live), begunAt, live)
      } catch (error) {
        return refusalOf('store-failed', asStoreError(error))
      }
      if (typeof found === 'string') return this.#orAnonymous(refusalOf(found))
      trace?.request(request, 'store', 'session found')
      if (!place.isOpen) return refusalOf('client-gone')
      // Its time has come since it was asked for: only the store can say whether somebody has put it off.
      if (operations.isOver(found)) {
        if (loads === maxLoads) return this.#orAnonymous(refusalOf('session-expired'))
        continue
      }
      const refusal = authorize && (await this.#authorize(authorize, found.snapshot, request, handshake))
      if (refusal !== undefined) return refusal
      const isCurrent = live === undefined || (live.version === reports && live.snapshot === found.snapshot)
      if (!isCurrent) trace?.request(request, 'store', 'changed meanwhile')
      if (isCurrent || loads === maxLoads) return { found, handshake, outdated, reports }
    }
  }

  /** Whose session a request claims, and may: no store call, nothing that costs, for one that this refuses. */
  identify(request: IncomingMessage): SignedCookie | Refusal {
    const { isOriginAllowed, cookie, cookieSetting, reports } = this.#deps
    try {
      if (!isOriginAllowed(request)) return refusalOf('origin-denied')
      trace?.request(request, 'origin', 'allowed')
      if (!isCookiePath(request, cookieSetting)) return refusalOf('no-cookie')
    } catch (error) {
      reports.fault('origins', error)
      return refusalOf('authorize-failed', asError(error))
    }
    const proof = cookie.read(request.headers.cookie)
    if (typeof proof === 'string') return refusalOf(proof)
    trace?.request(request, 'cookie', proof.outdated ? 'signed with an older secret' : 'signed', proof.sessionID)
    return proof
  }

  #orAnonymous(refusal: Refusal): Refusal | 'anonymous' {
    return this.#deps.anonymous === 'accept' && anonymousReasons.has(refusal.reason) ? 'anonymous' : refusal
  }

  /* Undefined: it may connect. */
  async #authorize(
    authorize: Authorize,
    session: SessionSnapshot,
    request: IncomingMessage,
    handshake: HandshakeInfo,
  ): Promise<Refusal | undefined> {
    try {
      if (!(await permits(authorize, session, request, handshake))) return refusalOf('forbidden')
      trace?.request(request, 'authorize', 'yes')
      return undefined
    } catch (error) {
      this.#deps.reports.fault('authorize', error)
      return refusalOf('authorize-failed', asError(error))
    }
  }
}

/* authenticate() may be given an Express request, whose `url` a router has shortened, or a request without a socket. */
function handshakeInfoOf(request: IncomingMessage & { originalUrl?: string }): HandshakeInfo {
  const socket = request.socket as IncomingMessage['socket'] | undefined
  return Object.freeze({
    url: request.originalUrl ?? request.url ?? '',
    origin: request.headers.origin,
    remoteAddress: socket?.remoteAddress,
    at: Date.now(),
  })
}
