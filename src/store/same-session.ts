/*
 * Whether two reads of a session say the same.
 * In: two sessions as clean data. Out: true or false.
 */
import { isDeepStrictEqual } from 'node:util'

import type { SessionSnapshot } from './snapshot.js'

/** Whether nothing differs but the cookie's expiry: a touch moves that, and is no change. */
export function isSameSession(one: SessionSnapshot, other: SessionSnapshot): boolean {
  return one === other || isDeepStrictEqual(withoutExpiry(one), withoutExpiry(other))
}

function withoutExpiry(session: SessionSnapshot): object {
  return { ...session, cookie: { ...session.cookie, expires: null } }
}
