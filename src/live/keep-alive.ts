/*
 * What keeps a session from expiring while it has connections.
 */
import type { LiveSession } from './live-session.js'
import type { Revalidator } from './revalidator.js'
import type { TimedStore } from './timed-store.js'
import type { TouchTimes } from './touch-times.js'

/** Touches sessions. */
export class KeepAlive {
  readonly #times: TouchTimes
  readonly #store: TimedStore
  readonly #revalidator: Revalidator

  constructor(times: TouchTimes, store: TimedStore, revalidator: Revalidator) {
    this.#times = times
    this.#store = store
    this.#revalidator = revalidator
  }

  /** Whether messages have to be heard of. */
  get listens(): boolean {
    return this.#times.mode === 'messages'
  }

  /** A message came. The first one touches at once. */
  activity(live: LiveSession): void {
    if (this.#times.isDue(live)) this.touch(live)
  }

  /** Touches a session for being connected, if it is time to. */
  tick(live: LiveSession): void {
    if (this.#times.mode === 'connected') this.activity(live)
  }

  /** Touches now. */
  touch(live: LiveSession): void {
    this.#times.touched(live)
    const { stored, readsBegun } = live
    const check = (): void => {
      this.#revalidator.check(live)
    }
    // After a failure, the check finds out for itself whether the store is unavailable, and tries again.
    this.#store.touch(live.sessionID, stored).then((result) => {
      if (result === 'gone') check()
      else if (result !== 'touched') this.#revalidator.written(live, result.touched, readsBegun)
    }, check)
  }
}
