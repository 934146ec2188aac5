/*
 * express-session's MemoryStore, by a clock that can be turned.
 */
import { MemoryStore, type SessionData } from 'express-session'

import type { Clock } from '../internal/clock.js'
import type { Activity } from './activity.js'

type Answer<T> = (error?: unknown, value?: T | null) => void

/** A MemoryStore whose sessions expire by the clock of its test bridge. */
// Not the class: with its private members, what `import` gives and what `require` gives would be two types.
export type TestStore = MemoryStore

/** What a {@link TestStore} is. */
export class ClockStore extends MemoryStore {
  readonly #clock: Clock
  readonly #activity: Activity
  /** By the clock; undefined: never. MemoryStore itself goes by the system's time, and is shown no dates. */
  readonly #expiries = new Map<string, number | undefined>()

  constructor(clock: Clock, activity: Activity) {
    super()
    this.#clock = clock
    this.#activity = activity
  }

  /** As MemoryStore's; a session that has expired by the clock is none. */
  override get(sessionID: string, callback: Answer<SessionData>): void {
    this.#forgetExpired()
    const expiresAt = this.#expiries.get(sessionID)
    super.get(
      sessionID,
      this.#counted<SessionData>((error, record) => callback(error, record && dated(record, expiresAt))),
    )
  }

  /** As MemoryStore's; the session expires by the clock. */
  override set(sessionID: string, session: SessionData, callback?: (error?: unknown) => void): void {
    const record = plain(session)
    this.#expiries.set(sessionID, dateOf(record))
    super.set(sessionID, dated(record, undefined), this.#counted(callback))
  }

  /** As MemoryStore's; the new expiry is by the clock. */
  override touch(sessionID: string, session: SessionData, callback?: () => void): void {
    this.#forgetExpired()
    const record = plain(session)
    if (this.#expiries.has(sessionID)) this.#expiries.set(sessionID, dateOf(record))
    super.touch(sessionID, dated(record, undefined), this.#counted(callback))
  }

  /** As MemoryStore's. */
  override destroy(sessionID: string, callback?: (error?: unknown) => void): void {
    this.#expiries.delete(sessionID)
    super.destroy(sessionID, this.#counted(callback))
  }

  /** As MemoryStore's. */
  override clear(callback?: (error?: unknown) => void): void {
    this.#expiries.clear()
    super.clear(this.#counted(callback))
  }

  /** As MemoryStore's: all sessions that have not expired, by ID. */
  override all(callback: Answer<Record<string, SessionData>>): void {
    this.#forgetExpired()
    const expiries = new Map(this.#expiries)
    super.all(
      this.#counted<Record<string, SessionData>>((error, records) => {
        const entries = Object.entries(records ?? {})
        callback(error, Object.fromEntries(entries.map(([id, record]) => [id, dated(record, expiries.get(id))])))
      }),
    )
  }

  /** When a session expires, as far as it is known; undefined: never, or there is none. */
  expiryOf(sessionID: string): number | undefined {
    return this.#expiries.get(sessionID)
  }

  #forgetExpired(): void {
    for (const [sessionID, expiresAt] of this.#expiries) {
      if (expiresAt === undefined || expiresAt > this.#clock.now()) continue
      this.#expiries.delete(sessionID)
      super.destroy(sessionID)
    }
  }

  #counted<T>(callback: Answer<T> | undefined): Answer<T> {
    const end = this.#activity.begin()
    return (error, value) => {
      try {
        callback?.(error, value)
      } finally {
        end()
      }
    }
  }
}

/** A copy, as JSON brings it back: what MemoryStore would keep. */
export function plain(session: SessionData): Record<string, unknown> {
  return JSON.parse(JSON.stringify(session)) as Record<string, unknown>
}

/** When a record expires, in ms since the epoch, by what its cookie says; undefined: never. */
export function dateOf({ cookie }: Record<string, unknown>): number | undefined {
  const { expires } = (cookie ?? {}) as Record<string, unknown>
  const expiresAt = typeof expires === 'string' ? Date.parse(expires) : NaN
  return Number.isNaN(expiresAt) ? undefined : expiresAt
}

/** The record with another date, where there is a cookie to have one. */
export function dated(record: object, expiresAt: number | undefined): SessionData {
  const { cookie } = record as { cookie?: unknown }
  if (typeof cookie !== 'object' || cookie === null) return record as SessionData
  const expires = expiresAt === undefined ? null : new Date(expiresAt).toISOString()
  return { ...record, cookie: { ...cookie, expires } } as unknown as SessionData
}
