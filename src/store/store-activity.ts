/*
 * What this process does to the sessions of a store, by observing the store's calls.
 */
import type { SessionData } from 'express-session'

import { TimeoutQueue } from '../internal/timeout-queue.js'
import type { WatchedSessions } from './live-store.js'
import { InFlightCall, SessionActivity } from './session-activity.js'
import type { StoreCall } from './store-calls.js'

/** Keeps what is known of sessions that are watched, being written, or in use. */
export class StoreActivity {
  /** Those that `watch` was called for, unless they are kept elsewhere. */
  readonly #ownWatched = new Set<string>()
  #watched: WatchedSessions = this.#ownWatched
  readonly #sessions = new Map<string, SessionActivity>()
  readonly #inFlight: TimeoutQueue<InFlightCall>
  /** Those that keep a record. */
  #keeping: SessionActivity[] = []

  /**
   * @param timeoutMs how long a call may be in flight before it is taken for lost and no longer waited for
   * @param onLost called for each of these
   */
  constructor(timeoutMs: number, onLost: (call: StoreCall) => void) {
    this.#inFlight = new TimeoutQueue(timeoutMs, ({ call, sessionID }) => {
      onLost(call)
      this.#sessions.get(sessionID)?.finish(call)
      this.#forgetIfIdle(sessionID)
    })
  }

  isWatched(sessionID: string): boolean {
    return this.#watched.has(sessionID)
  }

  /** They are kept elsewhere from now on: a set of a hundred thousand strings costs three megabytes. */
  watchedAreIn(watched: WatchedSessions): void {
    this.#watched = watched
  }

  watch(sessionID: string): void {
    if (this.#watched === this.#ownWatched) this.#ownWatched.add(sessionID)
  }

  unwatch(sessionID: string): void {
    this.#ownWatched.delete(sessionID)
    this.#forgetIfIdle(sessionID)
  }

  /** The expiry of the session that the store took last, if this process has written it since it is watched. */
  expiryOf(sessionID: string): number | undefined {
    return this.#sessions.get(sessionID)?.expiresAt
  }

  /** Its record has another date than before. */
  dateFound(sessionID: string, date: number): void {
    this.#sessions.get(sessionID)?.dateFound(date)
  }

  /**
   * A touch is to follow the read that found this record, begun when there had been so many writes. It is kept for this turn of
   * the event loop: what other processes write later is not known here, and would be undone.
   */
  keep(session: SessionActivity, record: SessionData, writes: number): void {
    session.keep(record, writes)
    if (this.#keeping.push(session) === 1) setImmediate(this.#dropKept)
  }

  /** What is known of a session. It is forgotten when nothing is done to the session and it is not watched. */
  of(sessionID: string): SessionActivity {
    const session = this.#sessions.get(sessionID) ?? new SessionActivity()
    this.#sessions.set(sessionID, session)
    return session
  }

  /** What is known of a session from now on, until `release` is called as often as this. */
  use(sessionID: string): SessionActivity {
    const session = this.of(sessionID)
    session.users += 1
    return session
  }

  release(sessionID: string, session: SessionActivity): void {
    session.users -= 1
    this.#forgetIfIdle(sessionID)
  }

  /** Takes note of a call, or of its answer. */
  note(call: StoreCall): void {
    if (call.sessionID !== undefined) return this.#note(call, call.sessionID)
    // The store may carry it out at any time until its answer, for each of these.
    for (const sessionID of this.#watched.keys()) this.of(sessionID)
    for (const sessionID of [...this.#sessions.keys()]) this.#note(call, sessionID)
  }

  dispose(): void {
    this.#inFlight.dispose()
  }

  readonly #dropKept = (): void => {
    for (const session of this.#keeping) session.dropKept()
    this.#keeping = []
  }

  #note(call: StoreCall, sessionID: string): void {
    const session = this.of(sessionID)
    session.note(call)
    if (call.isAnswered) {
      const inFlight = session.finish(call)
      if (inFlight !== undefined) this.#inFlight.remove(inFlight)
    } else if (!session.isInFlight(call)) {
      const inFlight = new InFlightCall(call, sessionID)
      session.begin(inFlight)
      this.#inFlight.add(inFlight)
    }
    this.#forgetIfIdle(sessionID)
  }

  #forgetIfIdle(sessionID: string): void {
    if (!this.#watched.has(sessionID) && this.#sessions.get(sessionID)?.isIdle === true)
      this.#sessions.delete(sessionID)
  }
}
