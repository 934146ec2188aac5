/*
 * express-session makes its dates by the system's time, and a test bridge goes by its own.
 */
import type { SessionData } from 'express-session'

import type { Clock } from '../internal/clock.js'
import { dated, dateOf, plain, type ClockStore } from './test-store.js'

/** How old a date made of `maxAge` may be that is still taken for one of now, in ms. */
const freshMs = 1_000

/** Has the store take sessions as express-session and other programs hand them in. */
export function takeSystemDates(store: ClockStore, clock: Clock): void {
  const set = store.set.bind(store)
  const touch = store.touch.bind(store)
  store.set = (sessionID, session, callback) => {
    set(sessionID, byClock(store.expiryOf(sessionID), session, clock), callback)
  }
  store.touch = (sessionID, session, callback) => {
    touch(sessionID, byClock(store.expiryOf(sessionID), session, clock), callback)
  }
}

/*
 * A date was either read in this store, and is by the clock already, or made by the system's time. If it was made of
 * `maxAge` just now, it is known to the millisecond what was meant.
 */
function byClock(kept: number | undefined, session: SessionData, clock: Clock): SessionData {
  const record = plain(session)
  const expiresAt = dateOf(record)
  if (expiresAt === undefined || expiresAt === kept) return dated(record, expiresAt)
  const { originalMaxAge } = record.cookie as { originalMaxAge?: unknown }
  const leftMs = expiresAt - Date.now()
  const isFresh = typeof originalMaxAge === 'number' && originalMaxAge >= leftMs && originalMaxAge < leftMs + freshMs
  return dated(record, clock.now() + (isFresh ? originalMaxAge : leftMs))
}
