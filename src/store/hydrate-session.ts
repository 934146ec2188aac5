/*
 * A session as express-session hands it to its store: a real Session with a real Cookie.
 */
import type { Session, SessionData, Store } from 'express-session'

import { restoreOriginalValues } from './original-values.js'
import { draftOf, type SessionSnapshot } from './snapshot.js'

/** A record as a store gave it, and its snapshot. */
export interface ReadRecord {
  readonly record: SessionData
  readonly snapshot: SessionSnapshot
}

/**
 * @param read what the store gave: fields that say the same in JSON are handed over as they were there
 * @throws {TypeError} for a record that cannot be a session.
 */
export function hydrateSession(
  store: Store,
  sessionID: string,
  record: SessionData | SessionSnapshot,
  read?: ReadRecord,
): Session & SessionData {
  const { cookie, ...data } = draftOf(record as SessionSnapshot)
  if (read !== undefined) restoreOriginalValues(data, read.snapshot, read.record)
  return sessionOf(store, sessionID, { ...data, cookie } as unknown as SessionData)
}

/** A record as the store gave it: what a store keeps in its records for its own `touch` is there. */
export function sessionOf(store: Store, sessionID: string, record: SessionData): Session & SessionData {
  const request = { sessionID, sessionStore: store } as unknown as Parameters<Store['createSession']>[0]
  // createSession makes a real Cookie of the plain one, in the object that it is given.
  return store.createSession(request, { ...record })
}

/**
 * Renews a session's expiry as express-session does (Session.touch), and leaves the age as it was: Cookie computes that
 * from the new date, a millisecond late now and then, which would look like a change of the session.
 */
export function touched(session: Session & SessionData): Session & SessionData {
  const { originalMaxAge } = session.cookie
  session.touch()
  if (typeof originalMaxAge === 'number') session.cookie.originalMaxAge = originalMaxAge
  return session
}
