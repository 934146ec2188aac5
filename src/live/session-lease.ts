/*
 * A handshake's hold on its session: watched from before the load, released exactly once.
 */
import type { LiveSession } from './live-session.js'
import type { LiveSessions } from './live-sessions.js'

export class SessionLease {
  readonly #sessions: LiveSessions
  #live: LiveSession | undefined
  #isReleased = false

  constructor(sessions: LiveSessions) {
    this.#sessions = sessions
  }

  get live(): LiveSession | undefined {
    return this.#live
  }

  /** Watches the session from now on. Undefined after the release, when nobody waits for the answer. */
  acquire(sessionID: string): LiveSession | undefined {
    if (!this.#isReleased) this.#live = this.#sessions.hold(sessionID)
    return this.#live
  }

  /** Later calls do nothing. */
  release(): void {
    if (this.#live !== undefined && !this.#isReleased) this.#sessions.release(this.#live)
    this.#isReleased = true
  }
}
