/*
 * A record that is its own snapshot, so that it is copied once and not at every floor.
 * In: a snapshot. Out: a StoredSession.
 */
import type { SessionData } from 'express-session'

import type { StoredSession } from './live-store.js'
import { isSameSession } from './same-session.js'
import { snapshotOf, type SessionSnapshot } from './snapshot.js'

/** Clean, frozen, and shared with nobody who could change it. */
export class CleanSession implements StoredSession {
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
      isSameSession(this.snapshot, snapshot)
    )
  }
}

/**
 * The snapshot of what a LiveStore gave.
 *
 * @throws {TypeError} for a record that cannot be a session.
 */
export function snapshotOfStored(stored: StoredSession): SessionSnapshot {
  return stored instanceof CleanSession ? stored.snapshot : snapshotOf(stored.record)
}

/** The same; undefined for a record that cannot be a session. */
export function usableSnapshotOf(stored: Pick<StoredSession, 'record'>): SessionSnapshot | undefined {
  try {
    return stored instanceof CleanSession ? stored.snapshot : snapshotOf(stored.record)
  } catch {
    return undefined
  }
}
