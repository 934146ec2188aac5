/*
 * A record that is its own snapshot, so that it is copied once and not at every floor.
 */
import type { SessionData } from 'express-session'

import type { StoredSession } from './live-store.js'
import { equalIgnoringExpires } from './session-equality.js'
import { snapshotOf, type SessionSnapshot } from './snapshot.js'

/** Clean, frozen, and shared with nobody who could change it. */
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

  isStill(snapshot: SessionSnapshot, expiresAt: number | undefined): boolean {
    return (
      this.expiresAt === expiresAt &&
      this.snapshot.cookie.expires === snapshot.cookie.expires &&
      equalIgnoringExpires(this.snapshot, snapshot)
    )
  }
}

/** Stores that count in whole seconds round up: a date that is off by less is the record's own. */
const roundedByMs = 1_000

/**
 * The snapshot of what a LiveStore gave. Its expiry is the one that the store knows: a touch moves that alone, and leaves the date
 * in the record behind.
 *
 * @throws {TypeError} for a record that cannot be a session.
 */
export function snapshotOfStored(stored: StoredSession): SessionSnapshot {
  const snapshot = stored instanceof NormalizedSession ? stored.snapshot : snapshotOf(stored.record)
  const { expiresAt } = stored
  const { expires } = snapshot.cookie
  // A cookie without a date lasts as long as the browser, whatever the store makes of it.
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
