/*
 * A session as it was read from Redis: the text that tells whether it changed, beside what it says.
 */
import type { SessionData } from 'express-session'

import { NormalizedSession, usableSnapshotOf } from '../store/normalized-session.js'
import type { StoredSession } from '../store/live-store.js'
import type { SessionSnapshot } from '../store/snapshot.js'

/** What both kinds of record have. */
export interface RawSession extends StoredSession {
  readonly raw: string
}

export class RedisSession extends NormalizedSession implements RawSession {
  readonly raw: string

  constructor(raw: string, snapshot: SessionSnapshot, expiresAt: number | undefined) {
    super(snapshot, expiresAt)
    this.raw = raw
  }

  /** Whether the record's date says nothing of its expiry: `touch` moves the key's without it, but never to an earlier time. */
  get isUndated(): boolean {
    const { expires } = this.snapshot.cookie
    return expires === null || Date.parse(expires) <= Date.now()
  }

  until(expiresAt: number): RedisSession {
    return new RedisSession(this.raw, this.snapshot, expiresAt)
  }
}

/** A record that cannot be a session: the bridge refuses it, and says so. */
class UnusableSession implements RawSession {
  readonly raw: string
  readonly record: SessionData
  readonly expiresAt = undefined

  constructor(raw: string, record: SessionData) {
    this.raw = raw
    this.record = record
  }
}

export function sessionOf(
  raw: string,
  record: SessionData,
  expiresAt: number | undefined,
): RedisSession | UnusableSession {
  const snapshot = usableSnapshotOf({ record })
  return snapshot === undefined ? new UnusableSession(raw, record) : new RedisSession(raw, snapshot, expiresAt)
}
