/*
 * A stored session whose record is its own snapshot, so that it is copied once and not in every layer.
 */
import type { SessionData } from 'express-session'

import type { StoredSession } from './live-store.js'
import { equalIgnoringExpires } from './session-equality.js'
import { snapshotOf, type SessionSnapshot } from './snapshot.js'

/** Plain data, frozen, so that it can be shared. */
export class NormalizedSession implements StoredSession {
  readonly snapshot: SessionSnapshot
  readonly expiresAt: number | undefined

  constructor(snapshot: SessionSnapshot, expiresAt: number | undefined) {
    this.snapshot = snapshot
    this.expiresAt = expiresAt
  }

  get record(): SessionData {
    return this.snapshot as unknown as SessionData
  }

  /** Whether a later read said the same. */
  isStill(snapshot: SessionSnapshot, expiresAt: number | undefined): boolean {
    return (
      this.expiresAt === expiresAt &&
      this.snapshot.cookie.expires === snapshot.cookie.expires &&
      equalIgnoringExpires(this.snapshot, snapshot)
    )
  }
}

/** Stores that keep whole seconds round up: a date that differs by less is the record's own. */
const roundedByMs = 1_000

/**
 * The snapshot of what a LiveStore gave. Its expiry is the one that the store knows, because a touch moves that one and may leave
 * the date in the record as it was.
 *
 * @throws {TypeError} for a record that cannot be a session.
 */
export function snapshotOfStored(stored: StoredSession): SessionSnapshot {
  const snapshot = stored instanceof NormalizedSession ? stored.snapshot : snapshotOf(stored.record)
  const { expiresAt } = stored
  const { expires } = snapshot.cookie
  // A cookie without a date lasts as long as the browser, whatever expiry the store has.
  if (expiresAt === undefined || expiresAt === Infinity || expires === null) return snapshot
  if (Math.abs(expiresAt - Date.parse(expires)) < roundedByMs) return snapshot
  const cookie = Object.freeze({ ...snapshot.cookie, expires: new Date(expiresAt).toISOString() })
  return Object.freeze({ ...snapshot, cookie })
}

/** The same; undefined for a record that cannot be a session. */
export function usableSnapshotOf(stored: Pick<StoredSession, 'record'>): SessionSnapshot | undefined {
  try {
    return stored instanceof NormalizedSession ? stored.snapshot : snapshotOf(stored.record)
  } catch {
    return undefined
  }
}

/** The same record, with the expiry that a touch has given it. */
export function withExpiry(stored: StoredSession, expiresAt: number): StoredSession {
  if (stored instanceof NormalizedSession) return new NormalizedSession(stored.snapshot, expiresAt)
  return { record: stored.record, expiresAt }
}
