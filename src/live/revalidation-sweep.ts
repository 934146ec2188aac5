/*
 * A check of every session from time to time, for changes that nobody reported.
 */
import type { Clock } from '../internal/clock.js'
import type { LiveSession } from './live-session.js'

/** How many are checked together: a store that reads in batches can read these in one. */
const togetherMost = 200

/** Goes round the sessions in the order in which they came, over and over while there are any. */
export class RevalidationSweep {
  readonly #periodMs: number
  readonly #sessions: () => Iterator<LiveSession>
  readonly #check: (live: LiveSession) => void
  readonly #clock: Clock
  #disarm: (() => void) | undefined
  /** When the timer fires, by `clock.elapsed()`. */
  #dueAt = Infinity
  #round: Iterator<LiveSession> | undefined
  #count = 0
  /** The most sessions that there were in this round: it must not slow down for those behind when the first ones end. */
  #most = 0

  constructor(
    periodMs: number,
    sessions: () => Iterator<LiveSession>,
    check: (live: LiveSession) => void,
    clock: Clock,
  ) {
    this.#periodMs = periodMs
    this.#sessions = sessions
    this.#check = check
    this.#clock = clock
  }

  /** To be called when a session comes. */
  entered(): void {
    this.#count += 1
    this.#most = Math.max(this.#most, this.#count)
    // One more group makes the pauses between them shorter.
    if (this.#most % togetherMost === 1 && this.#clock.elapsed() + this.#pauseMs < this.#dueAt) this.#arm()
  }

  /** To be called when one has gone. */
  left(): void {
    this.#count -= 1
    if (this.#count === 0) this.dispose()
  }

  dispose(): void {
    this.#disarm?.()
    this.#dueAt = Infinity
    this.#round = undefined
    this.#most = 0
  }

  get #pauseMs(): number {
    return this.#periodMs / Math.ceil(this.#most / togetherMost)
  }

  #arm(): void {
    this.#disarm?.()
    this.#dueAt = this.#clock.elapsed() + this.#pauseMs
    this.#disarm = this.#clock.after(this.#pauseMs, this.#next)
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
    const group = take(togetherMost, this.#round ?? this.#begin())
    return group.length > 0 ? group : take(togetherMost, this.#begin())
  }

  #begin(): Iterator<LiveSession> {
    this.#most = this.#count
    this.#round = this.#sessions()
    return this.#round
  }
}

function take<T>(count: number, items: Iterator<T>): T[] {
  const taken: T[] = []
  while (taken.length < count) {
    const next = items.next()
    if (next.done === true) break
    taken.push(next.value)
  }
  return taken
}
