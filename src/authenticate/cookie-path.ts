/*
 * Whether the session cookie is meant for the request's path at all.
 */
import type { IncomingMessage } from 'node:http'

import type { CookieOptions } from 'express-session'

import { asError } from '../errors.js'
import { asExpressRequest } from './express-request.js'
import { pathnameOf } from './request-target.js'

/** The `cookie` option of express-session: an object, or a function of the request. */
export type CookieSetting = CookieOptions | ((request: never) => CookieOptions) | undefined

/**
 * Whether the request's path lies under `cookie.path`. Outside it express-session sees no session, whatever the cookie says
 * (express-session, index.js, "pathname mismatch").
 *
 * @throws {Error} that names `session.cookie`, where it is a function that throws or returns no object.
 */
export function isCookiePath(
  request: IncomingMessage & { originalUrl?: string },
  setting: CookieSetting,
  trustProxy: boolean,
): boolean {
  const path = typeof setting === 'function' ? askedOptions(request, setting, trustProxy).path : setting?.path
  if (!path || path === '/') return true
  return pathnameOf(request.originalUrl ?? request.url)?.startsWith(path) === true
}

function askedOptions(
  request: IncomingMessage,
  setting: (request: never) => CookieOptions,
  trustProxy: boolean,
): CookieOptions {
  let options: unknown
  try {
    options = setting(asExpressRequest(request, trustProxy) as never)
  } catch (error) {
    throw new Error(
      `Option \`session.cookie\`: the function threw (${asError(error).name}). On an upgrade no middleware of Express has run: the ` +
        'request has `get`, `hostname`, `protocol`, `secure`, `ip`, `query` and `path`, and nothing else of Express.',
      { cause: error },
    )
  }
  if (typeof options === 'object' && options !== null) return options
  throw new TypeError('Option `session.cookie`: the function must return an object of cookie options.')
}
