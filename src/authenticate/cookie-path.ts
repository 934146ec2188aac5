/*
 * Whether the session cookie is meant for this path at all.
 */
import type { IncomingMessage } from 'node:http'

import type { CookieOptions } from 'express-session'

import { pathnameOf } from './request-target.js'

/** The `cookie` option of express-session: an object, or a function of the request. */
export type CookieSetting = CookieOptions | ((request: never) => CookieOptions) | undefined

/**
 * Whether the request's path lies under `cookie.path`. Outside it express-session sees no session, whatever the cookie
 * says (express-session, index.js, "pathname mismatch").
 */
export function isCookiePath(request: IncomingMessage & { originalUrl?: string }, setting: CookieSetting): boolean {
  const { path } = cookieOptionsFor(request, setting)
  if (!path || path === '/') return true
  return pathnameOf(request.originalUrl ?? request.url)?.startsWith(path) === true
}

/** The cookie options that hold for a request. Throws what a user's function throws. */
export function cookieOptionsFor(request: IncomingMessage, setting: CookieSetting): CookieOptions {
  if (setting === undefined) return {}
  return typeof setting === 'function' ? setting(request as never) : setting
}
