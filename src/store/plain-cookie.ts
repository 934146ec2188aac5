/*
 * The cookie in a record, as plain data.
 */
import { applyToJSON, plainValue, UnusableRecordError } from './plain-value.js'

/** Properties that are worked out here, or that express-session's Cookie keeps for itself. */
const notCopied = new Set(['__proto__', 'originalMaxAge', 'expires', 'maxAge', '_expires'])

/**
 * As `new Cookie(record.cookie)` reads it (express-session, session/cookie.js and Store.createSession): null and undefined
 * throw, other falsy values mean the defaults, anything else must be an object with a `maxAge` it can take.
 *
 * @throws {UnusableRecordError}
 */
export function plainCookie(cookie: unknown, freeze: boolean): object {
  if (cookie === null || cookie === undefined) throw new UnusableRecordError('The record has no cookie.')
  if (cookie === '' || cookie === 0 || cookie === false) return plainCookie({}, freeze)
  if (typeof cookie !== 'object') throw new UnusableRecordError("The record's cookie is no object.")
  const source = applyToJSON(cookie, 'cookie') as Record<string, unknown>
  const { maxAge, originalMaxAge, expires } = cookie as Record<string, unknown>
  if (maxAge && typeof maxAge !== 'number' && !(maxAge instanceof Date)) {
    throw new UnusableRecordError("The record's cookie has a maxAge that is no number.")
  }
  const plain: Record<string, unknown> = {
    originalMaxAge: typeof originalMaxAge === 'number' ? originalMaxAge : null,
    expires: isoDate(expires),
    path: '/',
    httpOnly: true,
  }
  for (const key in source) {
    if (notCopied.has(key)) continue
    const value = plainValue(source[key], key, freeze)
    if (value !== undefined) plain[key] = value
  }
  return freeze ? Object.freeze(plain) : plain
}

function isoDate(expires: unknown): string | null {
  if (typeof expires === 'string') return Number.isNaN(Date.parse(expires)) ? null : expires
  return expires instanceof Date && !Number.isNaN(expires.valueOf()) ? expires.toISOString() : null
}
