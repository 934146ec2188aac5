/*
 * Whether the sessions are still what they were. Anything may ask for a check; only what the store then says counts.
 */
import { StoreUnavailableError } from '../errors.js'
import { forEachInBatches } from '../internal/batches.js'
import type { Clock } from '../internal/clock.js'
import type { StoredSession } from '../store/live-store.js'
import { snapshotOfStored, withExpiry } from '../store/normalized-session.js'
import { equalIgnoringExpires, equalIgnoringExpiry } from '../store/session-equality.js'
import { RecordTooDeepError } from '../store/plain-value.js'
import type { SessionSnapshot } from '../store/snapshot.js'
import { trace } from '../trace.js'
import { ChangeNotifier, type AuthorizeListener, type ChangeNotifierDependencies } from './change-notifier.js'
import { CheckFailure } from './check-failure.js'
import type { CheckScheduler } from './check-scheduler.js'
import { endOf } from './connection-closer.js'
import { wholeSecondMs, type LiveSession } from './live-session.js'
import { asStored, LiveStoreAnswerError } from './live-store-answers.js'
import type { Registry } from './registry.js'
import type { Loaded } from './session-context.js'
import type { TimedStore } from './timed-store.js'
import type { Users } from './users.js'

/** What the checks work with. */
export interface RevalidatorDependencies extends ChangeNotifierDependencies {
  readonly store: TimedStore
  readonly registry: Registry
  readonly scheduler: CheckScheduler
  readonly clock: Clock
  readonly users: Users
}

/** What an answer of the store said. `unusable`: a record that cannot be a session. */
export type ReadResult = 'found' | 'gone' | 'expired' | 'unusable'

/** Keeps sessions true. */
export class Revalidator implements AuthorizeListener {
  readonly changes: ChangeNotifier
  readonly #deps: RevalidatorDependencies

  constructor(dependencies: RevalidatorDependencies) {
    this.#deps = dependencies
    this.changes = new ChangeNotifier(dependencies, this)
  }

  dispose(): void {
    this.changes.dispose()
  }

  /** Something may have changed: in one session, or in any. */
  readonly report = (sessionID: string | undefined): void => {
    const { registry } = this.#deps
    if (sessionID === undefined) return this.#reportAll()
    const live = registry.get(sessionID)
    if (live === undefined) return
    trace?.session(sessionID, 'reported')
    live.outdate()
    this.check(live)
  }

  /** Reads the session and acts on what it finds. One check of a session at a time; one more, if it is asked for meanwhile. */
  check(live: LiveSession): void {
    if (!live.isChecked || !live.requestCheck()) return
    void this.#check(live)
  }

  /**
   * Reads the session for a caller that needs it now, and keeps its connections true by the way.
   *
   * @param removals how many sessions this process had seen removed when the load began
   * @throws {StoreUnavailableError} (rejects) when the store cannot be read.
   */
  load(live: LiveSession, removals?: number): Promise<Loaded> {
    return this.#load(live, this.#deps.store.get(live.sessionID, live.stored), removals)
  }

  /** The same within a handshake, which has a deadline of its own. */
  loadForHandshake(live: LiveSession, removals: number): Promise<Loaded> {
    return this.#load(live, this.#deps.store.getForHandshake(live.sessionID, live.stored), removals)
  }

  /**
   * What this process has just written: nothing that was read before counts any longer.
   *
   * @param readsBegun how many reads had begun when the write did; undefined if it was not watched then
   */
  written(live: LiveSession, stored: StoredSession, readsBegun: number | undefined): void {
    const wasReadMeanwhile = live.isChecking || live.readsBegun !== readsBegun
    // The session was there, whatever date is known of it: a touch may have moved the date, and the write does not say so.
    this.#apply(live, stored, live.beginRead(), -Infinity)
    if (!wasReadMeanwhile) return
    // Another write may have come after it, and have been read before this one was answered: a handshake reads again, too.
    live.outdate()
    this.check(live)
  }

  /**
   * A touch of this process was answered without an error. Nothing is read for that: the store took what it was given, unless the
   * session may have expired before, since a store says nothing of that. A handshake reads again then, too.
   */
  touched(live: LiveSession, expiresAt: number): void {
    const { stored, snapshot } = live
    if (stored === undefined || snapshot === undefined || live.expiresAt <= this.#deps.clock.now()) {
      live.outdate()
      return this.check(live)
    }
    live.stored = withExpiry(stored, expiresAt)
    const touched = snapshotOfStored(live.stored)
    if (!isEqual(snapshot, touched)) live.snapshot = touched
    live.expiryUnreliable = false
    this.#deps.scheduler.schedule(live)
  }

  /** The session is gone: it was destroyed by this process, or the store has it no longer. */
  gone(live: LiveSession): void {
    // A handshake's read may have found it before, and is only late: that one loads again.
    live.outdateByRemoval()
    const expired = live.expiresAt <= this.#deps.clock.now()
    this.#end(live, expired ? 'expired' : 'destroyed')
    live.stored = live.snapshot = undefined
  }

  /** Ends a session that could not be verified for too long, even while a read hangs. True if it was that long. */
  endIfOverdue(live: LiveSession): boolean {
    if (live.failure === undefined || !this.#deps.scheduler.isOverdue(live.failure)) return false
    this.#end(live, 'unverified')
    return true
  }

  /** Something was left to ask `authorize`, and now nothing is. */
  authorizeSettled(live: LiveSession): void {
    if (live.failure?.readFailed !== true) this.#verified(live)
  }

  authorizeFailed(live: LiveSession): void {
    const { clock, scheduler } = this.#deps
    const now = clock.elapsed()
    live.failure ??= new CheckFailure(now)
    live.failure.authorizeHasFailed(now)
    if (!this.endIfOverdue(live)) scheduler.schedule(live)
  }

  async #load(live: LiveSession, answer: Promise<StoredSession | undefined>, removals?: number): Promise<Loaded> {
    const read = live.beginRead()
    const begunAt = this.#deps.clock.now()
    return loadedOf(live, this.#apply(live, asStored(await answer), read, begunAt), removals)
  }

  #reportAll(): void {
    const sessions = this.#deps.registry.sessions()
    for (const live of sessions) live.outdate()
    void forEachInBatches(sessions, (live) => {
      this.check(live)
    })
  }

  async #check(live: LiveSession): Promise<void> {
    do {
      try {
        await this.load(live)
      } catch (error) {
        this.#readFailed(live, error)
      }
    } while (live.finishCheck() && live.isChecked)
    live.abandonCheck()
  }

  #apply(live: LiveSession, stored: StoredSession | undefined, read: number, begunAt: number): ReadResult {
    const { clock, holds, registry, users } = this.#deps
    // "Gone" is final, whatever another read has found: a doubt keeps no connection open.
    if (stored === undefined) {
      trace?.session(live.sessionID, 'is not in the store')
      this.gone(live)
      return 'gone'
    }
    if (!live.applyRead(read)) return live.snapshot === undefined ? 'gone' : 'found'
    const previous = live.snapshot
    // One that has just come has its place.
    if (previous !== undefined) registry.checked(live)
    const snapshot = this.#snapshotOf(live, stored)
    if (snapshot === 'too-deep') return 'unusable'
    if (snapshot === undefined) {
      this.gone(live)
      return 'gone'
    }
    live.stored = stored
    if (isOver(stored, begunAt, clock)) {
      this.gone(live)
      return 'expired'
    }
    // One object for as long as nothing moves: a handshake compares by it.
    if (previous === undefined || !isEqual(previous, snapshot)) live.snapshot = snapshot
    live.expiryUnreliable = live.expiresAt <= begunAt - wholeSecondMs
    live.failure?.readHasSucceeded()
    const hasChanged = previous !== undefined && !equalIgnoringExpiry(previous, snapshot)
    // Before any listener is told: the listener of a change finds the new user.
    if (previous === undefined || hasChanged) users.changed(live, snapshot)
    if (hasChanged) this.changes.changed(live, previous)
    else this.changes.askFailed(live)
    holds.foundBy(live, read)
    if (live.reauthorization === undefined) this.#verified(live)
    // Its expiry may pass before `authorize` has answered.
    else this.#deps.scheduler.schedule(live)
    return 'found'
  }

  /*
   * Undefined for a record that cannot be a session: there is none. One that is nested too deep is a session that cannot be
   * checked: its connections keep the last snapshot, and the check has failed.
   */
  #snapshotOf(live: LiveSession, stored: StoredSession): SessionSnapshot | 'too-deep' | undefined {
    if (stored === live.stored) return live.snapshot
    try {
      return snapshotOfStored(stored)
    } catch (error) {
      if (!(error instanceof RecordTooDeepError)) {
        this.#deps.reports.fault('record', error)
        return undefined
      }
      this.#failed(live)
      // Without a failure there are no connections: a handshake waits for it, or a check whose connections have ended meanwhile.
      const isNews = live.failure === undefined ? live.leases > 0 : live.failure.isFirstUnusable()
      if (isNews) this.#deps.reports.fault('record', error)
      return 'too-deep'
    }
  }

  #verified(live: LiveSession): void {
    live.failure = undefined
    this.#deps.scheduler.schedule(live)
  }

  #readFailed(live: LiveSession, error: unknown): void {
    this.#failed(live)
    const isUnusable = error instanceof LiveStoreAnswerError && live.failure?.isFirstUnusable() !== false
    if (isUnusable || !(error instanceof StoreUnavailableError)) this.#deps.reports.fault('check', error)
  }

  #failed(live: LiveSession): void {
    const { clock, closer, scheduler } = this.#deps
    closer.dropAllClosed(live)
    if (live.size === 0) return
    const now = clock.elapsed()
    live.failure ??= new CheckFailure(now)
    live.failure.readHasFailed(now)
    if (this.endIfOverdue(live)) return
    trace?.session(live.sessionID, `could not be checked, again in ${String(Math.ceil(live.failure.retryAt - now))} ms`)
    scheduler.schedule(live)
  }

  #end(live: LiveSession, reason: 'destroyed' | 'expired' | 'unverified'): void {
    live.failure = live.doubt = undefined
    this.#deps.closer.endSession(live, endOf(reason))
  }
}

/* As it is for all of its connections. */
function loadedOf({ sessionID, stored, snapshot, user }: LiveSession, result: ReadResult, removals = 0): Loaded {
  if (result === 'expired') return 'session-expired'
  if (result !== 'found' || snapshot === undefined) return 'no-session'
  return { sessionID, stored, snapshot, user, removals }
}

function isEqual(one: SessionSnapshot, other: SessionSnapshot): boolean {
  return one.cookie.expires === other.cookie.expires && equalIgnoringExpires(one, other)
}

/**
 * Whether a session was over at that time, as far as the store knows, unless the clock has been set back since. Usually it is the
 * time at which the read began: what has passed since is for the store to say.
 */
export function isOver({ expiresAt }: StoredSession, at: number, clock: Clock): boolean {
  return expiresAt !== undefined && expiresAt <= Math.min(at, clock.now())
}
