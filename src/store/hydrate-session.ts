/*
 * A session as express-session hands it to its store: a real Session with a real Cookie.
 */
import type { Session, SessionData, Store } from 'express-session'

import { draftOf, type SessionSnapshot } from './snapshot.js'

/** @throws {TypeError} for a record that cannot be a session. */
export function inflate(store: Store, sessionID: string, record: SessionData | SessionSnapshot): Session & SessionData {
  const request = { sessionID, sessionStore: store } as unknown as Parameters<Store['createSession']>[0]
  return store.createSession(request, draftOf(record as SessionSnapshot) as unknown as SessionData)
}
