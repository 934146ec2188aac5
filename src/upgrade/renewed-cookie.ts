/*
 * The Set-Cookie that a 101 brings along: with `rolling`, and when an older secret had signed.
 */
import type { IncomingMessage } from 'node:http'

import { serialize } from 'cookie'

import { protocolOf } from '../authenticate/express-request.js'
import type { AuthenticatedSession } from '../authenticate/authenticator.js'
import type { SessionCookie, SignedCookie } from '../authenticate/session-cookie.js'
import type { EventSink } from '../live/event-sink.js'
import type { FoundSession } from '../live/session-context.js'

/** When and how a cookie is renewed. */
interface RenewalRules {
  readonly cookie: SessionCookie
  readonly rolling: boolean
  /** Whether X-Forwarded-Proto is to be believed. */
  readonly trustProxy: boolean
}

/** Renews the cookies of requests that are let in. */
export class CookieRenewal {
  readonly #rules: RenewalRules
  readonly #reports: EventSink

  constructor(rules: RenewalRules, reports: EventSink) {
    this.#rules = rules
    this.#reports = reports
  }

  /** The value of the Set-Cookie header; undefined for none. Never throws. */
  cookieFor({ found, cookie }: AuthenticatedSession, request: IncomingMessage): string | undefined {
    try {
      return renewedCookie(this.#rules, cookie, found, request)
    } catch (error) {
      // An attribute in the record that no cookie can have: express-session would fail on it, too.
      this.#reports.fault('record', error)
      return undefined
    }
  }
}

/**
 * The cookie with the record's own attributes and a new expiry; undefined if it stays as it is.
 *
 * A `secure` one is sent over https only (express-session, index.js, `issecure`).
 */
function renewedCookie(
  { cookie, rolling, trustProxy }: RenewalRules,
  { sessionID, value, outdated }: SignedCookie,
  { snapshot }: FoundSession,
  request: IncomingMessage,
): string | undefined {
  if (!rolling && !outdated) return undefined
  // By name: a record may hold more, and express-session sends none of that (session/cookie.js, `data`).
  const { originalMaxAge, secure, path, domain, httpOnly, sameSite, priority, partitioned } = snapshot.cookie
  if (secure && protocolOf(request, trustProxy) !== 'https') return undefined
  return serialize(cookie.name, outdated ? cookie.sign(sessionID) : value, {
    path,
    domain,
    httpOnly,
    sameSite,
    priority,
    partitioned,
    secure: Boolean(secure),
    expires: originalMaxAge === null ? undefined : new Date(Date.now() + originalMaxAge),
  })
}
