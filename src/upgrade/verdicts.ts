/*
 * The authentication of requests that another server answers: `authenticate()`, and the adapters of other servers.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

import type { Store } from 'express-session'

import type { AuthenticatedSession, Authenticator, AuthResult, Verdict } from '../authenticate/authenticator.js'
import type { EventSink } from '../live/event-sink.js'
import type { LiveSessions } from '../live/live-sessions.js'
import type { SessionContext } from '../live/session-context.js'
import { SessionLease } from '../live/session-lease.js'
import { refusalOf } from '../refusals.js'
import type { BoundedAuthentication } from './bounded-authentication.js'
import type { CookieRenewal } from './renewed-cookie.js'
import { guardBoundRequest, putSessionOn, rememberRequest } from './session-request.js'
import type { UnansweredUpgrades } from './unanswered-upgrades.js'

/** What the verdicts are made of. */
export interface VerdictsDependencies {
  readonly authentication: BoundedAuthentication
  readonly authenticator: Authenticator
  readonly unanswered: UnansweredUpgrades
  readonly sessions: LiveSessions
  readonly renewal: CookieRenewal
  /** The store that `request.session` saves to. */
  readonly requestStore: Store
  readonly reports: EventSink
}

/** What another server is told of a request. One that is let in has `request.session`. */
export interface AdmissionResult {
  readonly verdict: Verdict
  /** The header that goes with the answer, where the cookie is renewed: then `touch` the session with it. */
  readonly setCookie: string | undefined
}

/** Says who may connect, and leaves the answer to its caller. */
export class Verdicts {
  readonly #deps: VerdictsDependencies

  constructor(dependencies: VerdictsDependencies) {
    this.#deps = dependencies
  }

  /** The handshake alone, with the same limit and deadline. Never rejects. */
  async authenticate(request: IncomingMessage): Promise<Verdict> {
    const { unanswered } = this.#deps
    unanswered.watch(request)
    const result = await this.#authenticate(request, undefined)
    unanswered.restart(request)
    if (isAccepted(result)) rememberRequest(result.context, request)
    return this.#verdictOf(result, request)
  }

  /** The same for a server that makes its connections itself: its client may leave, and is put on the request what an upgrade has. */
  async admit(request: IncomingMessage): Promise<AdmissionResult> {
    const { unanswered, renewal, requestStore } = this.#deps
    const result = await this.#authenticate(request, request.socket)
    unanswered.restart(request)
    const verdict = this.#verdictOf(result, request)
    if (!isAccepted(result)) return { verdict, setCookie: undefined }
    putSessionOn(request, result.context, requestStore)
    return { verdict, setCookie: renewal.cookieFor(result, request) }
  }

  /** A context from `authenticate()` is bound to a connection. */
  bound(context: SessionContext): void {
    guardBoundRequest(context, this.#deps.requestStore)
  }

  /** Whether a later request of such a connection comes from the same session. What does not is told as a refusal. */
  recognizes(request: IncomingMessage, context: SessionContext): boolean {
    const { authenticator, reports, requestStore } = this.#deps
    const proof = authenticator.identify(request)
    if (!('reason' in proof) && proof.sessionID === context.sessionID) {
      putSessionOn(request, context, requestStore)
      return true
    }
    reports.refused('reason' in proof ? proof : refusalOf('forbidden'), request)
    return false
  }

  /* It takes a place of the session only while it is under way, and only where places are limited. */
  #authenticate(request: IncomingMessage, socket: Duplex | undefined): AuthResult | Promise<AuthResult> {
    const { sessions, authentication } = this.#deps
    const lease = new SessionLease(sessions, sessions.limits.perSession)
    const result = authentication.run(request, socket, { lease })
    return sessions.limits.perSession ? released(lease, result) : result
  }

  #verdictOf(result: AuthResult, request: IncomingMessage): Verdict {
    if (result === 'anonymous') return { accepted: true, context: undefined }
    if (!isAccepted(result)) {
      this.#deps.reports.refused(result, request)
      return { accepted: false, refusal: result }
    }
    result.handshake.weaken()
    return { accepted: true, context: result.context }
  }
}

function isAccepted(result: AuthResult): result is AuthenticatedSession {
  return result !== 'anonymous' && 'context' in result
}

async function released(lease: SessionLease, result: AuthResult | Promise<AuthResult>): Promise<AuthResult> {
  try {
    return await result
  } finally {
    lease.release()
  }
}
