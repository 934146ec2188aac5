/*
 * A session that could not be verified: since when, why, and when to try again.
 */
import { Backoff } from '../internal/backoff.js'

const firstPauseMs = 100
const longestPauseMs = 10_000

/**
 * Exists from the first check that failed until one succeeds. Times are those of `clock.elapsed()`.
 *
 * Invariant: it is over only when both the last read succeeded and nothing is left to ask `authorize`.
 */
export class CheckFailure {
  readonly since: number
  readonly #pauses = new Backoff(firstPauseMs, longestPauseMs)
  #retryAt = 0
  /** The last read failed, or found a record that cannot be a session. */
  #readFailed = false
  #hasFoundUnusable = false

  constructor(now: number) {
    this.since = now
  }

  get retryAt(): number {
    return this.#retryAt
  }

  get readFailed(): boolean {
    return this.#readFailed
  }

  /** A read failed. The next pause is longer than the last one. */
  readHasFailed(now: number): void {
    this.#readFailed = true
    this.#retryLater(now)
  }

  readHasSucceeded(): void {
    this.#readFailed = false
  }

  /** `authorize` failed for a connection. Those that fail together share a pause. */
  authorizeHasFailed(now: number): void {
    if (this.#retryAt <= now) this.#retryLater(now)
  }

  /** True the first time: the fault is told once, not at each attempt. */
  isFirstUnusable(): boolean {
    const isFirst = !this.#hasFoundUnusable
    this.#hasFoundUnusable = true
    return isFirst
  }

  #retryLater(now: number): void {
    this.#retryAt = now + this.#pauses.next()
  }
}
