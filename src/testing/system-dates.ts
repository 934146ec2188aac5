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
  const createSession = store.createSession.bind(store)
  /** The dates of sessions that were made of a record. Renewing such a session puts a new one in its place. */
  const readDates = new WeakSet()
  store.createSession = (request, record) => {
    const session = createSession(request, record)
    const date = dateObjectOf(session)
    if (date !== undefined) readDates.add(date)
    return session
  }
  store.set = (sessionID, session, callback) => {
    set(sessionID, byClock(store.expiryOf(sessionID), session, readDates, clock), callback)
  }
  store.touch = (sessionID, session, callback) => {
    touch(sessionID, byClock(store.expiryOf(sessionID), session, readDates, clock), callback)
  }
}

/*
 * A date was either read in this store, and is by the clock already, or made by the system's time. If it was made of
 * `maxAge` just now, it is known to the millisecond what was meant.
 *
 * The time alone does not tell the two apart: while a test holds `Date.now()`, a session is renewed to the very time that is kept.
 */
function byClock(
  kept: number | undefined,
  session: SessionData,
  readDates: WeakSet<object>,
  clock: Clock,
): SessionData {
  const record = plain(session)
  const expiresAt = dateOf(record)
  const date = dateObjectOf(session)
  if (expiresAt === undefined || (date !== undefined && readDates.has(date))) return dated(record, expiresAt)
  const { originalMaxAge } = record.cookie as { originalMaxAge?: unknown }
  const leftMs = expiresAt - Date.now()
  const isFresh = typeof originalMaxAge === 'number' && originalMaxAge >= leftMs && originalMaxAge < leftMs + freshMs
  if (expiresAt === kept && (!isFresh || date === undefined)) return dated(record, expiresAt)
  return dated(record, clock.now() + (isFresh ? originalMaxAge : leftMs))
}

/* The date as express-session's Cookie has it. In a record it is text. */
function dateObjectOf({ cookie }: { cookie?: unknown }): object | undefined {
  const { expires } = (cookie ?? {}) as { expires?: unknown }
  return typeof expires === 'object' && expires !== null ? expires : undefined
}
