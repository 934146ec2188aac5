/*
 * When to look at each session next: to see whether it has expired, to try again, to keep it alive.
 */
import type { Clock } from '../internal/clock.js'
import type { Revalidator } from './revalidator.js'
import { TimerHeap } from '../internal/timer-heap.js'
import type { KeepAlive } from './keep-alive.js'
import { wholeSecondMs, type LiveSession } from './live-session.js'

/** The times to look. */
export class CheckScheduler {
  readonly #unverifiedMs: number
  readonly #keepAlive: KeepAlive
  readonly #clock: Clock
  readonly #deadlines: TimerHeap<LiveSession>

  constructor(unverifiedMs: number, keepAlive: KeepAlive, checks: Revalidator, clock: Clock) {
    this.#unverifiedMs = unverifiedMs
    this.#keepAlive = keepAlive
    this.#clock = clock
    this.#deadlines = new TimerHeap((live) => {
      keepAlive.tick(live)
      checks.check(live)
    }, clock)
  }

  /** To be called when a session has been read, could not be read, or got its first connection. */
  schedule(live: LiveSession): void {
    if (live.contexts.length === 0) return
    this.#deadlines.set(live, Math.min(this.#nextCheckOf(live), this.#keepAlive.dueAt(live)))
  }

  remove(live: LiveSession): void {
    this.#deadlines.remove(live)
  }

  dispose(): void {
    this.#deadlines.dispose()
  }

  #nextCheckOf(live: LiveSession): number {
    const now = this.#clock.now()
    if (live.failedSince !== undefined) {
      const left = live.failedSince + this.#unverifiedMs - this.#clock.elapsed()
      return now + Math.min(live.pauseMs * (0.5 + Math.random() / 2), Math.max(left, 1))
    }
    if (live.expiresAt > now) return live.expiresAt
    // RevalidationSweep looks after that one.
    if (live.expiryUnreliable) return Infinity
    // Whatever has been read until now began before the store could know.
    return Math.max(now, live.expiresAt + wholeSecondMs)
  }
}
