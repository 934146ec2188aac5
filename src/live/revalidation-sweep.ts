/*
 * A check of every session from time to time, for changes that were not reported.
 */
import type { Clock } from '../internal/clock.js'
import type { LiveSession } from './live-session.js'
import type { Registry } from './registry.js'
import type { Revalidator } from './revalidator.js'

/** How many are checked together: a store that reads in batches can read these in one. */
const togetherMost = 200

/**
 * Checks the sessions in the order of their last check, over and over while there are any. Sessions that come, or are read for
 * another reason, stand behind the others, so they cannot keep these waiting.
 *
 * Invariant: a round has as many ticks as the most sessions in it need, so that it lasts for the whole period at most. Those that
 * it has checked are behind those that it has not come to.
 */
export class RevalidationSweep {
  readonly #periodMs: number
  readonly #registry: Registry
  readonly #revalidator: Revalidator
  readonly #clock: Clock
  #disarm: (() => void) | undefined
  /** When the timer fires, by `clock.elapsed()`. */
  #dueAt = Infinity
  #round = 1
  #ticks = 0
  #count = 0
  /** The most sessions that there were in this round: it must not slow down for those behind when the first ones end. */
  #most = 0

  constructor(periodMs: number, registry: Registry, revalidator: Revalidator, clock: Clock) {
    this.#periodMs = periodMs
    this.#registry = registry
    this.#revalidator = revalidator
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
    this.#beginRound()
  }

  get #pauseMs(): number {
    return this.#periodMs / this.#ticksOfRound
  }

  get #ticksOfRound(): number {
    return Math.ceil(this.#most / togetherMost)
  }

  #arm(): void {
    this.#disarm?.()
    this.#dueAt = this.#clock.elapsed() + this.#pauseMs
    this.#disarm = this.#clock.after(this.#pauseMs, this.#next)
  }

  readonly #next = (): void => {
    for (const live of this.#group()) {
      live.sweptInRound = this.#round
      this.#registry.checked(live)
      // One that cannot be checked is being tried again anyway.
      if (live.failure === undefined) this.#revalidator.check(live)
    }
    this.#ticks += 1
    if (this.#ticks >= this.#ticksOfRound) this.#beginRound()
    if (this.#count > 0) this.#arm()
  }

  #beginRound(): void {
    this.#round += 1
    this.#ticks = 0
    this.#most = this.#count
  }

  /* The first ones of those that this round has not come to. */
  #group(): LiveSession[] {
    const group: LiveSession[] = []
    for (const live of this.#registry.byLastCheck()) {
      if (live.sweptInRound === this.#round || group.length === togetherMost) break
      group.push(live)
    }
    return group
  }
}
