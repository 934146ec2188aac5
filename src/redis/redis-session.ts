/*
 * A session as it was read from Redis: the text that tells whether it changed, beside what it says.
 */
import type { SessionData } from 'express-session'

import { NormalizedSession, usableSnapshotOf } from '../store/normalized-session.js'
import type { StoredSession } from '../store/live-store.js'
import type { SessionSnapshot } from '../store/snapshot.js'

/** PTTL counts in whole ms, and clocks do not run alike. */
const expiryToleranceMs = 20
const wholeSecondMs = 1_000

/** What both kinds of record have. */
export interface RawSession extends StoredSession {
  readonly raw: string
}

export class RedisSession extends NormalizedSession implements RawSession {
  readonly raw: string
  /** By how many ms `expiresAt` may be too late. */
  readonly slackMs: number

  constructor(raw: string, snapshot: SessionSnapshot, expiresAt: number | undefined, slackMs = 0) {
    super(snapshot, expiresAt)
    this.raw = raw
    this.slackMs = slackMs
  }

  /** Whether the record's date says nothing of its expiry: `touch` moves the key's without it, but never to an earlier time. */
  get isUndated(): boolean {
    const { expires } = this.snapshot.cookie
    return expires === null || Date.parse(expires) <= Date.now()
  }

  until(expiresAt: number, slackMs: number): RedisSession {
    return new RedisSession(this.raw, this.snapshot, expiresAt, slackMs)
  }

  /**
   * Whether a key that expires then lasts as long as is known already. Of an expiry that has passed, it is news that the session is
   * still there. A record's own date may be up to a second too early, since connect-redis sets whole seconds.
   */
  lastsUntil(expiresAt: number, slackMs: number): boolean {
    const { expires } = this.snapshot.cookie
    const known = this.expiresAt ?? (expires === null ? undefined : Date.parse(expires))
    if (known === undefined || (known <= Date.now() && known !== expiresAt)) return false
    if (known === expiresAt) return true
    const mayBeEarlier = this.expiresAt === undefined ? wholeSecondMs : 0
    return (
      expiresAt - slackMs <= known + mayBeEarlier + expiryToleranceMs &&
      known - this.slackMs <= expiresAt + expiryToleranceMs
    )
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
  slackMs = 0,
): RedisSession | UnusableSession {
  const snapshot = usableSnapshotOf({ record })
  return snapshot === undefined ? new UnusableSession(raw, record) : new RedisSession(raw, snapshot, expiresAt, slackMs)
}
