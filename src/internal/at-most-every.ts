/*
 * Something that may happen once, and then not again for a while.
 */

/** Counts how long ago it was. */
export class AtMostEvery {
  readonly #pauseMs: number
  readonly #now: () => number
  #lastAt = -Infinity

  /** @param now the time in ms, by a clock that is never set */
  constructor(pauseMs: number, now: () => number = () => performance.now()) {
    this.#pauseMs = pauseMs
    this.#now = now
  }

  /** Whether it may happen now; if so, it has. */
  take(): boolean {
    const now = this.#now()
    if (now - this.#lastAt < this.#pauseMs) return false
    this.#lastAt = now
    return true
  }
}
