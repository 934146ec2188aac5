/*
 * A check of every session from time to time, for changes that nobody reported.
 * In: the sessions. Out: each of them once in a period, a few together, never all at once.
 */
import type { LiveSession } from './live-session.js'

/** How many are checked together: a store that reads in batches can read these in one. */
const togetherMost = 200

/** Goes round the sessions in the order in which they came, over and over while there are any. */
export class Revalidation {
  readonly #periodMs: number
  readonly #sessions: () => Iterator<LiveSession>
  readonly #check: (live: LiveSession) => void
  #timer: NodeJS.Timeout | undefined
  #round: Iterator<LiveSession> | undefined
  #count = 0

  constructor(periodMs: number, sessions: () => Iterator<LiveSession>, check: (live: LiveSession) => void) {
    this.#periodMs = periodMs
    this.#sessions = sessions
    this.#check = check
  }

  /** To be called when a session comes. */
  entered(): void {
    this.#count += 1
    if (this.#timer === undefined) this.#arm()
  }

  /** To be called when one has gone. */
  left(): void {
    this.#count -= 1
    if (this.#count === 0) this.dispose()
  }

  dispose(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#round = undefined
  }

  #arm(): void {
    const groups = Math.max(Math.ceil(this.#count / togetherMost), 1)
    this.#timer = setTimeout(this.#next, this.#periodMs / groups).unref()
  }

  readonly #next = (): void => {
    // A Map's iterator goes on through what is deleted and added meanwhile.
    const round = this.#round ?? this.#sessions()
    this.#round = round
    for (let together = 0; together < togetherMost; together += 1) {
      const next = round.next()
      if (next.done === true) {
        this.#round = undefined
        break
      }
      // One that cannot be checked is being tried again anyway.
      if (next.value.failedSince === undefined) this.#check(next.value)
    }
    this.#arm()
  }
}
