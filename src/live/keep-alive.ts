/*
 * What keeps a session from expiring while it has connections.
 */
import { AtMostEvery } from '../internal/at-most-every.js'
import type { Clock } from '../internal/clock.js'
import type { LiveSession } from './live-session.js'
import type { Revalidator } from './revalidator.js'
import type { TimedStore } from './timed-store.js'
import type { TouchTimes } from './touch-times.js'

/** During an outage of the store, the touches of all sessions fail. One of them says so. */
const faultPauseMs = 60_000

/** What touching needs. */
export interface KeepAliveDependencies {
  readonly times: TouchTimes
  readonly store: TimedStore
  readonly revalidator: Revalidator
  readonly clock: Clock
  /** A touch failed: told at most once a minute. Must not throw. */
  readonly onFault: (error: unknown) => void
}

/** Touches sessions. */
export class KeepAlive {
  readonly #times: TouchTimes
  readonly #store: TimedStore
  readonly #revalidator: Revalidator
  readonly #faults: AtMostEvery
  readonly #onFault: (error: unknown) => void

  constructor({ times, store, revalidator, clock, onFault }: KeepAliveDependencies) {
    this.#times = times
    this.#store = store
    this.#revalidator = revalidator
    this.#faults = new AtMostEvery(faultPauseMs, () => clock.elapsed())
    this.#onFault = onFault
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
    this.#store.touch(live.sessionID, stored).then(
      (result) => {
        if (result === 'gone') check()
        else if (result !== 'touched') this.#revalidator.written(live, result.touched, readsBegun)
      },
      (error: unknown) => {
        // A store whose `get` works and whose `touch` never does would let active users expire, without a sign of why.
        if (this.#faults.take()) this.#onFault(error)
        // The check finds out for itself whether the store is unavailable, and tries again.
        check()
      },
    )
  }
}
