/*
 * When to look at each session next: to see whether it has expired, to try again, to keep it alive.
 */
import type { Clock } from '../internal/clock.js'
import { TimerHeap } from '../internal/timer-heap.js'
import type { CheckFailure } from './check-failure.js'
import { wholeSecondMs, type LiveSession } from './live-session.js'
import type { ReauthorizeTimes } from './reauthorize-times.js'
import type { TouchTimes } from './touch-times.js'

/** One timer for the times of all sessions. */
export class CheckScheduler {
  readonly #unverifiedMs: number
  readonly #touchTimes: TouchTimes
  readonly #reauthorizeTimes: ReauthorizeTimes
  readonly #clock: Clock
  readonly #times: TimerHeap<LiveSession>

  constructor(
    unverifiedMs: number,
    touchTimes: TouchTimes,
    reauthorizeTimes: ReauthorizeTimes,
    clock: Clock,
    onDue: (live: LiveSession) => void,
  ) {
    this.#unverifiedMs = unverifiedMs
    this.#touchTimes = touchTimes
    this.#reauthorizeTimes = reauthorizeTimes
    this.#clock = clock
    this.#times = new TimerHeap(onDue, clock)
  }

  /** To be called when a session has been read, could not be read, is being read after a failure, or got a connection. */
  schedule(live: LiveSession): void {
    if (live.size === 0) return
    const dueAt = Math.min(this.#nextCheckOf(live), this.#touchTimes.dueAt(live), this.#reauthorizeTimes.dueAt(live))
    this.#times.set(live, dueAt)
  }

  remove(live: LiveSession): void {
    this.#times.remove(live)
  }

  /** Whether the session has been unverified for too long. */
  isOverdue({ since }: CheckFailure): boolean {
    return this.#clock.elapsed() - since >= this.#unverifiedMs
  }

  dispose(): void {
    this.#times.dispose()
  }

  #nextCheckOf(live: LiveSession): number {
    const now = this.#clock.now()
    if (live.failure !== undefined) return now + this.#nextAttemptIn(live, live.failure)
    const { expiresAt } = live
    if (expiresAt > now) return expiresAt
    // RevalidationSweep looks after that one.
    if (live.expiryUnreliable) return Infinity
    // Whatever has been read until now began before the store could know.
    return Math.max(now, expiresAt + wholeSecondMs)
  }

  /* While a read is under way, only the end of the patience is waited for. */
  #nextAttemptIn(live: LiveSession, { since, retryAt }: CheckFailure): number {
    const now = this.#clock.elapsed()
    const patience = Math.max(since + this.#unverifiedMs - now, 1)
    return live.isChecking && retryAt <= now ? patience : Math.min(Math.max(retryAt - now, 0), patience)
  }
}
