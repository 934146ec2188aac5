/*
 * Whether two reads of a session say the same.
 */
import { isDeepStrictEqual } from 'node:util'

import type { SessionSnapshot } from './snapshot.js'

/** Whether nothing differs but the date of the cookie's expiry, which every touch moves. The age counts. */
export function equalIgnoringExpires(one: SessionSnapshot, other: SessionSnapshot): boolean {
  return one === other || isDeepStrictEqual(withoutDate(one), withoutDate(other))
}

/**
 * Whether nothing differs but the cookie's expiry, as a date or as an age, which is no change of the session. A touch can
 * move the age, too: express-session's Cookie computes it from the date, and is a millisecond late now and then.
 */
export function equalIgnoringExpiry(one: SessionSnapshot, other: SessionSnapshot): boolean {
  return one === other || isDeepStrictEqual(withoutExpiry(one), withoutExpiry(other))
}

function withoutDate(session: SessionSnapshot): SessionSnapshot {
  return { ...session, cookie: { ...session.cookie, expires: null } }
}

function withoutExpiry(session: SessionSnapshot): SessionSnapshot {
  return { ...session, cookie: { ...session.cookie, expires: null, originalMaxAge: null } }
}
