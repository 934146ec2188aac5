/*
 * Growing pauses between attempts, spread by chance so that many who failed together do not come back together.
 */

/** The pauses of one series of attempts. */
export class Backoff {
  readonly #firstMs: number
  readonly #longestMs: number
  #pauseMs = 0

  constructor(firstMs: number, longestMs: number) {
    this.#firstMs = firstMs
    this.#longestMs = longestMs
  }

  /** The pause before the next attempt, in ms: half of the full pause at least. The full pause doubles each time. */
  next(): number {
    this.#pauseMs = Math.min(Math.max(this.#pauseMs * 2, this.#firstMs), this.#longestMs)
    return this.#pauseMs * (0.5 + Math.random() / 2)
  }

  /** An attempt succeeded: the next series begins with the first pause. */
  reset(): void {
    this.#pauseMs = 0
  }
}
