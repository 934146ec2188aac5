/*
 * What keeps a session from expiring while it has connections.
 */
import type { Clock } from '../internal/clock.js'
import type { Revalidator } from './revalidator.js'
import type { LiveSession } from './live-session.js'
import type { TimedStore } from './timed-store.js'

/** See {@link SessionBridgeOptions.keepAlive}. */
export type KeepAliveMode = 'messages' | 'connected' | 'never'

/** The longest time between two touches, in ms. */
const longestMs = 60_000

/** Touches sessions. */
export class KeepAlive {
  readonly #mode: KeepAliveMode
  readonly #store: TimedStore
  readonly #checks: Revalidator
  readonly #clock: Clock

  constructor(mode: KeepAliveMode, store: TimedStore, checks: Revalidator, clock: Clock) {
    this.#mode = mode
    this.#store = store
    this.#checks = checks
    this.#clock = clock
  }

  /** Whether messages have to be heard of. */
  get listens(): boolean {
    return this.#mode === 'messages'
  }

  /** A message came. The first touches at once. */
  activity(live: LiveSession): void {
    if (live.touchedAt === undefined || this.#clock.elapsed() - live.touchedAt >= intervalMs(live)) this.touch(live)
  }

  /** A connection came: the time to the first touch begins, and is over at once for a session that would not last so long. */
  connected(live: LiveSession): void {
    if (this.#mode !== 'connected' || live.touchedAt !== undefined) return
    const interval = intervalMs(live)
    const isShort = live.expiresAt - this.#clock.now() < 2 * interval
    live.touchedAt = this.#clock.elapsed() - (isShort ? interval : 0)
  }

  /** When being connected touches next, in ms since the epoch; Infinity: never. */
  dueAt(live: LiveSession): number {
    if (this.#mode !== 'connected') return Infinity
    const { touchedAt = this.#clock.elapsed() } = live
    return this.#clock.now() + touchedAt + intervalMs(live) - this.#clock.elapsed()
  }

  /** Touches if it is time to. */
  tick(live: LiveSession): void {
    if (this.#mode === 'connected') this.activity(live)
  }

  /** Touches now. */
  touch(live: LiveSession): void {
    live.touchedAt = this.#clock.elapsed()
    const { stored, readsBegun } = live
    this.#store.touch(live.sessionID, stored).then(
      (result) => {
        if (result === 'gone') this.#checks.check(live)
        else if (result !== 'touched') this.#checks.written(live, result.touched, readsBegun)
      },
      // The check finds out for itself whether the store is away, and tries again.
      () => {
        this.#checks.check(live)
      },
    )
  }
}

function intervalMs({ snapshot }: LiveSession): number {
  const maxAge = snapshot?.cookie.originalMaxAge
  return typeof maxAge === 'number' ? Math.min(longestMs, maxAge / 4) : longestMs
}
