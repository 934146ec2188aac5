/*
 * A session as express-session makes it for a visitor.
 */
import { randomBytes } from 'node:crypto'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'

import { Cookie, type CookieOptions, type SessionData } from 'express-session'

import { assertObject } from '../internal/option-checks.js'
import type { SessionBridgeOptions } from '../options.js'

/** What a session holds besides its cookie: your `SessionData`, as much of it as you need. */
export type TestSessionData = { [K in keyof SessionData as K extends 'cookie' ? never : K]?: SessionData[K] }

/** What express-session takes as its option `cookie`. */
export type CookieSettings = SessionBridgeOptions['session']['cookie']

/** A new session ID, made as express-session makes them. */
export function newSessionID(): string {
  return randomBytes(24).toString('base64url')
}

/** @throws {TypeError} for data that no session has, and for settings that are no object. */
export function newSession(data: TestSessionData, settings: CookieSettings, own: CookieOptions): SessionData {
  if (typeof data !== 'object' || (data as unknown) === null) {
    throw new TypeError("cookie: pass the session's data as an object, such as { user: 'Ada' }.")
  }
  if ('cookie' in data) {
    throw new TypeError("cookie: pass the cookie's settings as the second argument; the data has none.")
  }
  assertObject(own, 'cookie: the second argument', '{ maxAge: 60_000 }')
  const options = { ...(typeof settings === 'function' ? settings(aRequest()) : settings), ...own }
  // As express-session resolves it for a request that is not encrypted.
  if (options.secure === 'auto') options.secure = false
  const cookie = new (Cookie as new (options: CookieOptions) => Cookie)(options)
  // Cookie works it out from the date again, and where the system's time has moved on meanwhile it is a millisecond short.
  if (typeof options.maxAge === 'number') cookie.originalMaxAge = options.maxAge
  return { ...data, cookie }
}

/* A function of the request is asked about one that says nothing. */
function aRequest(): Parameters<Extract<CookieSettings, (...args: never[]) => unknown>>[0] {
  const request = Object.assign(new IncomingMessage(new Socket()), { method: 'GET', url: '/' })
  return request as unknown as ReturnType<typeof aRequest>
}
