/*
 * When `authorize` is asked again although the session has not changed: option `reauthorizeMs`.
 */
import type { Clock } from '../internal/clock.js'
import type { LiveSession } from './live-session.js'

/** A quarter of each period is left to chance, so that sessions that came together are not asked about together forever. */
const shareOfChance = 0.25

/** The times of the questions. Each session is asked about again within the period. */
export class ReauthorizeTimes {
  readonly #periodMs: number
  readonly #clock: Clock

  /** @param periodMs Infinity: never */
  constructor(periodMs: number, clock: Clock) {
    this.#periodMs = periodMs
    this.#clock = clock
  }

  /** The period begins: a session got its first connection, or all of its connections are being asked about. */
  begin(live: LiveSession): void {
    if (this.#periodMs === Infinity) return
    live.reauthorizeAt = this.#clock.elapsed() + this.#periodMs * (1 - shareOfChance * Math.random())
  }

  isDue(live: LiveSession): boolean {
    return live.reauthorizeAt !== undefined && live.reauthorizeAt <= this.#clock.elapsed()
  }

  /** In ms since the epoch; Infinity: never. */
  dueAt(live: LiveSession): number {
    if (live.reauthorizeAt === undefined) return Infinity
    return this.#clock.now() + Math.max(0, live.reauthorizeAt - this.#clock.elapsed())
  }
}
