/*
 * How often sessions are touched.
 */
import type { Clock } from '../internal/clock.js'
import type { LiveSession } from './live-session.js'

/** See {@link SessionBridgeOptions.keepAlive}. */
export type KeepAliveMode = 'messages' | 'connected' | 'never'

/** The longest time between two touches, in ms. */
const longestMs = 60_000

/** The times of touches. */
export class TouchTimes {
  readonly mode: KeepAliveMode
  readonly #clock: Clock

  constructor(mode: KeepAliveMode, clock: Clock) {
    this.mode = mode
    this.#clock = clock
  }

  /** Whether the last touch is long enough ago. */
  isDue(live: LiveSession): boolean {
    return live.touchedAt === undefined || this.#clock.elapsed() - live.touchedAt >= intervalMs(live)
  }

  /** A connection came: the time to the first touch begins, and is over at once for a session that would not last so long. */
  connected(live: LiveSession): void {
    if (this.mode !== 'connected' || live.touchedAt !== undefined) return
    const interval = intervalMs(live)
    const isShort = live.expiresAt - this.#clock.now() < 2 * interval
    live.touchedAt = this.#clock.elapsed() - (isShort ? interval : 0)
  }

  /** The session is touched now. */
  touched(live: LiveSession): void {
    live.touchedAt = this.#clock.elapsed()
  }

  /** When being connected touches next, in ms since the epoch; Infinity: never. */
  dueAt(live: LiveSession): number {
    if (this.mode !== 'connected') return Infinity
    const { touchedAt = this.#clock.elapsed() } = live
    return this.#clock.now() + touchedAt + intervalMs(live) - this.#clock.elapsed()
  }
}

function intervalMs({ snapshot }: LiveSession): number {
  const maxAge = snapshot?.cookie.originalMaxAge
  return typeof maxAge === 'number' ? Math.min(longestMs, maxAge / 4) : longestMs
}
