/*
 * Whether the sessions are still what they were. Anything may ask for a check; only what the store then says counts.
 */
import type { Clock } from '../internal/clock.js'
import { StoreUnavailableError } from '../errors.js'
import { snapshotOfStored } from '../store/normalized-session.js'
import type { StoredSession } from '../store/live-store.js'
import { equalIgnoringExpiry, equalIgnoringExpires } from '../store/session-equality.js'
import type { SessionSnapshot } from '../store/snapshot.js'
import { trace } from '../trace.js'
import { ChangeNotifier, type ChangeNotifierDependencies } from './change-notifier.js'
import { endOf } from './connection-closer.js'
import { wholeSecondMs, type LiveSession } from './live-session.js'
import type { Registry } from './registry.js'
import { forEachInBatches } from '../internal/batches.js'
import type { TimedStore } from './timed-store.js'

/** The first pause after a failed check, in ms; it doubles with each. */
const firstPauseMs = 100
const longestPauseMs = 10_000

/** What the checks work with. */
export interface RevalidatorDependencies extends ChangeNotifierDependencies {
  readonly store: TimedStore
  readonly registry: Registry
  readonly unverifiedMs: number
  readonly clock: Clock
  /** To be called when it has become known when to look at a session next. */
  readonly schedule: (live: LiveSession) => void
}

/** Keeps sessions true. */
export class Revalidator {
  readonly #deps: RevalidatorDependencies
  readonly #changes: ChangeNotifier

  constructor(parts: RevalidatorDependencies) {
    this.#deps = parts
    this.#changes = new ChangeNotifier(parts)
  }

  /** Nobody waits for an answer any more. */
  dispose(): void {
    this.#changes.dispose()
  }

  /** Something may have changed: with one session, or with any. */
  readonly report = (sessionID: string | undefined): void => {
    const { registry } = this.#deps
    if (sessionID === undefined) return this.#reportAll()
    const live = registry.get(sessionID)
    if (live === undefined) return
    trace?.session(sessionID, 'reported')
    live.version += 1
    this.check(live)
  }

  /** Reads the session and acts on what it finds. One check of a session at a time; one more, if it is asked for meanwhile. */
  check(live: LiveSession): void {
    if (live.checking) live.checkAgain = true
    // A handshake loads by itself.
    else if (live.contexts.length > 0) void this.#check(live)
  }

  /**
   * Reads the session for whoever needs it now, and keeps everybody else informed.
   *
   * @throws {StoreUnavailableError} (rejects) when the store cannot be read.
   */
  read(live: LiveSession): Promise<StoredSession | undefined> {
    return this.#read(live, this.#deps.store.get(live.sessionID, live.stored))
  }

  /** The same within a handshake. */
  readForHandshake(live: LiveSession): Promise<StoredSession | undefined> {
    return this.#read(live, this.#deps.store.getForHandshake(live.sessionID, live.stored))
  }

  /**
   * What this process has just written itself: nothing that was read before counts any more.
   *
   * @param readsBegun how many reads had begun when the write did; undefined if nobody had the session then
   */
  written(live: LiveSession, stored: StoredSession, readsBegun: number | undefined): void {
    const wasReadMeanwhile = live.checking || live.readsBegun !== readsBegun
    live.readsBegun += 1
    // It was there, whatever date is known of it: somebody may have put that off, and the write knows nothing of it.
    this.#apply(live, stored, live.readsBegun, -Infinity)
    // Somebody may have written after it, and have been read before it was answered.
    if (wasReadMeanwhile) this.check(live)
  }

  /** The store has no such session any more. */
  gone(live: LiveSession): void {
    // A handshake's read may have found it before, and is only late: that one loads again.
    live.version += 1
    live.removedAtVersion = live.version
    const expired = live.expiresAt <= this.#deps.clock.now()
    trace?.session(live.sessionID, 'is not in the store')
    this.#deps.endings.endSession(live, endOf(expired ? 'expired' : 'destroyed'))
    live.stored = live.snapshot = undefined
  }

  async #read(live: LiveSession, answer: Promise<StoredSession | undefined>): Promise<StoredSession | undefined> {
    live.readsBegun += 1
    const read = live.readsBegun
    const begunAt = this.#deps.clock.now()
    const stored = await answer
    this.#apply(live, stored, read, begunAt)
    return stored
  }

  #reportAll(): void {
    const { registry } = this.#deps
    for (const live of registry.sessions()) live.version += 1
    void forEachInBatches(registry.sessions(), (live) => {
      this.check(live)
    })
  }

  async #check(live: LiveSession): Promise<void> {
    live.checking = true
    do {
      await this.read(live).catch((error: unknown) => {
        this.#failed(live, error)
      })
    } while (isAskedAgain(live) && live.contexts.length > 0)
    live.checking = false
  }

  #apply(live: LiveSession, stored: StoredSession | undefined, read: number, begunAt: number): void {
    // "Gone" is final, whatever another read has found: nobody stays connected on a doubt.
    if (stored === undefined) return this.gone(live)
    if (read < live.readApplied) return
    live.readApplied = read
    const previous = live.snapshot
    const snapshot = this.#snapshotOf(live, stored)
    if (snapshot === undefined) return this.gone(live)
    live.stored = stored
    if (isOver(stored, begunAt, this.#deps.clock)) return this.gone(live)
    // One object for as long as nothing moves: a handshake compares by it.
    if (previous === undefined || !isEqual(previous, snapshot)) live.snapshot = snapshot
    live.expiryUnreliable = live.expiresAt <= begunAt - wholeSecondMs
    const changed = previous !== undefined && !equalIgnoringExpiry(previous, snapshot)
    if (live.contexts.length === 0) return this.#verified(live)
    if (changed) live.authorizeRequested += 1
    if (live.authorizeRequested === live.authorizeSettled) return this.#verified(live)
    // Its expiry may pass before that is answered.
    if (live.failedSince === undefined) this.#deps.schedule(live)
    // It is being asked already, and looks at the same.
    if (live.authorizeRequested === live.authorizeStarted) return
    void this.#announce(live, snapshot, changed ? previous : undefined)
  }

  #snapshotOf(live: LiveSession, stored: StoredSession): SessionSnapshot | undefined {
    if (stored === live.stored) return live.snapshot
    try {
      return snapshotOfStored(stored)
    } catch (error) {
      this.#deps.reports.fault('record', error)
      return undefined
    }
  }

  async #announce(live: LiveSession, snapshot: SessionSnapshot, previous: SessionSnapshot | undefined): Promise<void> {
    const outcome = await this.#changes.announce(live, snapshot, previous)
    if (outcome === 'decided') this.#verified(live)
    else if (outcome === 'undecided') this.#failed(live, undefined)
  }

  #verified(live: LiveSession): void {
    live.failedSince = undefined
    live.pauseMs = 0
    this.#deps.schedule(live)
  }

  #failed(live: LiveSession, error: unknown): void {
    const { clock, endings, reports, unverifiedMs } = this.#deps
    if (error !== undefined && !(error instanceof StoreUnavailableError)) reports.fault('check', error)
    if (live.contexts.length === 0) return
    const now = clock.elapsed()
    live.failedSince ??= now
    if (now - live.failedSince >= unverifiedMs) return endings.endSession(live, endOf('unverified'))
    live.pauseMs = Math.min(Math.max(live.pauseMs * 2, firstPauseMs), longestPauseMs)
    trace?.session(live.sessionID, `could not be checked, again in ${String(live.pauseMs)} ms`)
    this.#deps.schedule(live)
  }
}

/* Asked meanwhile: what it asks about may have come after the read. */
function isAskedAgain(live: LiveSession): boolean {
  const again = live.checkAgain
  live.checkAgain = false
  return again
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
