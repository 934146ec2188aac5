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
  /** When the timer fires, by `performance.now()`. */
  #dueAt = Infinity
  #round: Iterator<LiveSession> | undefined
  #count = 0
  /** The most sessions that there were in this round: it must not slow down for those behind when the first ones end. */
  #most = 0

  constructor(periodMs: number, sessions: () => Iterator<LiveSession>, check: (live: LiveSession) => void) {
    this.#periodMs = periodMs
    this.#sessions = sessions
    this.#check = check
  }

  /** To be called when a session comes. */
  entered(): void {
    this.#count += 1
    this.#most = Math.max(this.#most, this.#count)
    // One more group makes the pauses between them shorter.
    if (this.#most % togetherMost === 1 && performance.now() + this.#pauseMs < this.#dueAt) this.#arm()
  }

  /** To be called when one has gone. */
  left(): void {
    this.#count -= 1
    if (this.#count === 0) this.dispose()
  }

  dispose(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#dueAt = Infinity
    this.#round = undefined
    this.#most = 0
  }

  get #pauseMs(): number {
    return this.#periodMs / Math.ceil(this.#most / togetherMost)
  }

  #arm(): void {
    clearTimeout(this.#timer)
    this.#dueAt = performance.now() + this.#pauseMs
    this.#timer = setTimeout(this.#next, this.#pauseMs).unref()
  }

  readonly #next = (): void => {
    for (const live of this.#group()) {
      // One that cannot be checked is being tried again anyway.
      if (live.failedSince === undefined) this.#check(live)
    }
    if (this.#count > 0) this.#arm()
  }

  /* A Map's iterator goes on through what is deleted and added meanwhile. At its end a new round begins. */
  #group(): LiveSession[] {
    const group: LiveSession[] = []
    let round = this.#round ?? this.#begin()
    while (group.length < togetherMost) {
      const next = round.next()
      if (next.done !== true) group.push(next.value)
      else if (group.length > 0) break
      else round = this.#begin()
    }
    return group
  }

  #begin(): Iterator<LiveSession> {
    this.#most = this.#count
    this.#round = this.#sessions()
    return this.#round
  }
}
