/*
 * A clock that stands still until a test turns it.
 */
import type { Clock } from '../internal/clock.js'

/** The time of a test bridge and its store. It stands still by itself: nothing expires by luck on a slow machine. */
export interface TestClock {
  /** In ms since the epoch; at first, the time when the test bridge was made. */
  now(): number
  /**
   * Turns the clock on, from one thing that is due to the next. Resolves when every session whose time has come in between
   * has been looked at, `authorize` has answered, and the sockets that ended are closed.
   *
   * Only the bridge and its store go by this clock: `Date.now()` and your own timers are left as they are. Two calls
   * at once are made one after the other.
   *
   * @param ms a whole number of milliseconds; 0: what is due now
   * @throws {TypeError} (rejects) for anything else: time does not go back.
   */
  advance(ms: number): Promise<void>
}

interface Timer {
  readonly dueAt: number
  readonly callback: () => void
}

/** The clock as the bridge sees it, and as the test does. */
export class TurnableClock implements Clock, TestClock {
  readonly #startedAt = Date.now()
  readonly #settled: () => Promise<void>
  readonly #timers = new Set<Timer>()
  #elapsed = 0
  #turning: Promise<void> = Promise.resolve()

  /** @param settled resolves when what a timer has begun is done */
  constructor(settled: () => Promise<void>) {
    this.#settled = settled
  }

  now(): number {
    return this.#startedAt + this.#elapsed
  }

  elapsed(): number {
    return this.#elapsed
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { dueAt: this.#elapsed + Math.max(Math.ceil(delayMs), 0), callback }
    this.#timers.add(timer)
    // What is due now does not wait for the clock to be turned.
    if (timer.dueAt === this.#elapsed) setImmediate(() => this.#fire(timer))
    return () => {
      this.#timers.delete(timer)
    }
  }

  advance(ms: number): Promise<void> {
    if (!Number.isSafeInteger(ms) || ms < 0) {
      return Promise.reject(new TypeError('clock.advance takes a whole number of milliseconds from 0 on.'))
    }
    this.#turning = this.#turning.then(() => this.#turn(this.#elapsed + ms))
    return this.#turning
  }

  async #turn(until: number): Promise<void> {
    // What the test has begun before it turned the clock comes first.
    await this.#settled()
    for (let timer = this.#first(until); timer !== undefined; timer = this.#first(until)) {
      this.#elapsed = timer.dueAt
      this.#fire(timer)
      await this.#settled()
    }
    this.#elapsed = until
  }

  #first(until: number): Timer | undefined {
    let first: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.dueAt <= until && (first === undefined || timer.dueAt < first.dueAt)) first = timer
    }
    return first
  }

  #fire(timer: Timer): void {
    if (this.#timers.delete(timer)) timer.callback()
  }
}
