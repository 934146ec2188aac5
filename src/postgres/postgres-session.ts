/*
 * A session as it was read from PostgreSQL: the text that tells whether it changed, beside what it says.
 */
import type { SessionData } from 'express-session'

import type { StoredSession } from '../store/live-store.js'
import { NormalizedSession, usableSnapshotOf } from '../store/normalized-session.js'
import type { SessionSnapshot } from '../store/snapshot.js'

/** What both kinds of record have. */
export interface RawSession extends StoredSession {
  readonly raw: string
}

export class PostgresSession extends NormalizedSession implements RawSession {
  readonly raw: string

  constructor(raw: string, snapshot: SessionSnapshot, expiresAt: number) {
    super(snapshot, expiresAt)
    this.raw = raw
  }
}

/** @param record what the text says, if that is known already; it may be no session, which the bridge refuses */
export function sessionOf(raw: string, expiresAt: number): RawSession {
  const record = JSON.parse(raw) as SessionData
  const snapshot = usableSnapshotOf({ record })
  return snapshot === undefined ? { raw, record, expiresAt } : new PostgresSession(raw, snapshot, expiresAt)
}
