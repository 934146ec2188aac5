/*
 * A session that could not be verified: since when, why, and when to try again.
 */
import { Backoff } from '../internal/backoff.js'

const firstPauseMs = 100
const longestPauseMs = 10_000
/** By so much a timer may be early. */
const earlyMs = 1

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

  /** A read failed. */
  readHasFailed(now: number): void {
    this.#readFailed = true
    this.#retryLater(now)
  }

  readHasSucceeded(): void {
    this.#readFailed = false
  }

  /** `authorize` failed for a connection. */
  authorizeHasFailed(now: number): void {
    this.#retryLater(now)
  }

  /** True the first time: the fault is told once, not at each attempt. */
  isFirstUnusable(): boolean {
    const isFirst = !this.#hasFoundUnusable
    this.#hasFoundUnusable = true
    return isFirst
  }

  /*
   * Attempts within a pause, which something that was heard has made, do not make it longer: or a store that comes and goes,
   * and is heard of each time, would be left alone for long when it is back for good.
   */
  #retryLater(now: number): void {
    if (this.#retryAt - earlyMs > now) return
    this.#retryAt = now + this.#pauses.next()
  }
}
