/*
 * The Set-Cookie that a 101 brings along: with `rolling`, and when an older secret had signed.
 */
import type { IncomingMessage } from 'node:http'

import { serialize } from 'cookie'

import { protocolOf } from '../authenticate/express-request.js'
import type { SessionCookie, SignedCookie } from '../authenticate/session-cookie.js'
import type { FoundSession } from '../live/session-context.js'

/** When and how a cookie is renewed. */
export interface RenewalRules {
  readonly cookie: SessionCookie
  readonly rolling: boolean
  /** Whether X-Forwarded-Proto is to be believed. */
  readonly trustProxy: boolean
}

/**
 * The cookie with the record's own attributes and a new expiry; undefined if it stays as it is.
 *
 * A `secure` one is sent over https only (express-session, index.js, `issecure`).
 */
export function renewedCookie(
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
    ...{ path, domain, httpOnly, sameSite, priority, partitioned },
    secure: Boolean(secure),
    ...(originalMaxAge === null ? {} : { expires: new Date(Date.now() + originalMaxAge) }),
  })
}
