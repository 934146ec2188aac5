/*
 * Whether the sessions are still what they were. Anything may ask for a check; only what the store then says counts.
 * In: reports, times to look, reads of others. Out: changed snapshots, new expiries, ends.
 */
import type { Clock } from '../clock.js'
import { StoreUnavailableError } from '../errors.js'
import { snapshotOfStored } from '../store/clean-session.js'
import type { StoredSession } from '../store/live-store.js'
import { isSameData, isSameSession } from '../store/same-session.js'
import type { SessionSnapshot } from '../store/snapshot.js'
import { trace } from '../trace.js'
import { Changes, type ChangesParts } from './changes.js'
import { endOf } from './endings.js'
import { wholeSecondMs, type LiveSession } from './live-session.js'
import type { Registry } from './registry.js'
import { inSlices } from '../store/slices.js'
import type { StoreAccess } from './store-access.js'

/** The first pause after a failed check, in ms; it doubles with each. */
const firstPauseMs = 100
const longestPauseMs = 10_000

/** What the checks work with. */
export interface ChecksParts extends ChangesParts {
  readonly store: StoreAccess
  readonly registry: Registry
  readonly unverifiedMs: number
  readonly clock: Clock
  /** To be called when it has become known when to look at a session next. */
  readonly schedule: (live: LiveSession) => void
}

/** Keeps sessions true. */
export class Checks {
  readonly #parts: ChecksParts
  readonly #changes: Changes

  constructor(parts: ChecksParts) {
    this.#parts = parts
    this.#changes = new Changes(parts)
  }

  /** Nobody waits for an answer any more. */
  dispose(): void {
    this.#changes.dispose()
  }

  /** Something may have changed: with one session, or with any. */
  readonly report = (sessionID: string | undefined): void => {
    const { registry } = this.#parts
    if (sessionID === undefined) return this.#reportAll()
    const live = registry.get(sessionID)
    if (live === undefined) return
    trace?.session(sessionID, 'reported')
    live.reports += 1
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
    return this.#read(live, this.#parts.store.get(live.sessionID, live.stored))
  }

  /** The same within a handshake. */
  readForHandshake(live: LiveSession): Promise<StoredSession | undefined> {
    return this.#read(live, this.#parts.store.getForHandshake(live.sessionID, live.stored))
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
    live.reports += 1
    live.goneAt = live.reports
    const expired = live.expiresAt <= this.#parts.clock.now()
    trace?.session(live.sessionID, 'is not in the store')
    this.#parts.endings.endSession(live, endOf(expired ? 'expired' : 'destroyed'))
    live.stored = live.snapshot = undefined
  }

  async #read(live: LiveSession, answer: Promise<StoredSession | undefined>): Promise<StoredSession | undefined> {
    live.readsBegun += 1
    const read = live.readsBegun
    const begunAt = this.#parts.clock.now()
    const stored = await answer
    this.#apply(live, stored, read, begunAt)
    return stored
  }

  #reportAll(): void {
    const { registry } = this.#parts
    for (const live of registry.sessions()) live.reports += 1
    void inSlices(registry.sessions(), (live) => {
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
    // «Gone» is final, whatever another read has found: nobody stays connected on a doubt.
    if (stored === undefined) return this.gone(live)
    if (read < live.readApplied) return
    live.readApplied = read
    const previous = live.snapshot
    const snapshot = this.#snapshotOf(live, stored)
    if (snapshot === undefined) return this.gone(live)
    live.stored = stored
    if (isOver(stored, begunAt, this.#parts.clock)) return this.gone(live)
    // One object for as long as nothing moves: a handshake compares by it.
    if (previous === undefined || !isEqual(previous, snapshot)) live.snapshot = snapshot
    live.isDateStale = live.expiresAt <= begunAt - wholeSecondMs
    const changed = previous !== undefined && !isSameData(previous, snapshot)
    if (live.contexts.length === 0) return this.#verified(live)
    if (changed) live.questions += 1
    if (live.questions === live.answered) return this.#verified(live)
    // Its expiry may pass before that is answered.
    if (live.failedSince === undefined) this.#parts.schedule(live)
    // It is being asked already, and looks at the same.
    if (live.questions === live.asked) return
    void this.#announce(live, snapshot, changed ? previous : undefined)
  }

  #snapshotOf(live: LiveSession, stored: StoredSession): SessionSnapshot | undefined {
    if (stored === live.stored) return live.snapshot
    try {
      return snapshotOfStored(stored)
    } catch (error) {
      this.#parts.reports.fault('record', error)
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
    this.#parts.schedule(live)
  }

  #failed(live: LiveSession, error: unknown): void {
    const { clock, endings, reports, unverifiedMs } = this.#parts
    if (error !== undefined && !(error instanceof StoreUnavailableError)) reports.fault('check', error)
    if (live.contexts.length === 0) return
    const now = clock.elapsed()
    live.failedSince ??= now
    if (now - live.failedSince >= unverifiedMs) return endings.endSession(live, endOf('unverified'))
    live.pauseMs = Math.min(Math.max(live.pauseMs * 2, firstPauseMs), longestPauseMs)
    trace?.session(live.sessionID, `could not be checked, again in ${String(live.pauseMs)} ms`)
    this.#parts.schedule(live)
  }
}

/* Asked meanwhile: what it asks about may have come after the read. */
function isAskedAgain(live: LiveSession): boolean {
  const again = live.checkAgain
  live.checkAgain = false
  return again
}

function isEqual(one: SessionSnapshot, other: SessionSnapshot): boolean {
  return one.cookie.expires === other.cookie.expires && isSameSession(one, other)
}

/**
 * Whether a session was over at that time, as far as the store knows, unless the clock has been set back since. Usually it is the
 * time at which the read began: what has passed since is for the store to say.
 */
export function isOver({ expiresAt }: StoredSession, at: number, clock: Clock): boolean {
  return expiresAt !== undefined && expiresAt <= Math.min(at, clock.now())
}
