/*
 * A handshake's hold on its session: watched from before the load, let go exactly once.
 */
import type { LiveSession } from './live-session.js'
import type { LiveSessions } from './live-sessions.js'

export class SessionLease {
  readonly #sessions: LiveSessions
  #live: LiveSession | undefined
  #over = false

  constructor(sessions: LiveSessions) {
    this.#sessions = sessions
  }

  get live(): LiveSession | undefined {
    return this.#live
  }

  /** Watches the session from now on. */
  enter(sessionID: string): LiveSession | undefined {
    if (!this.#over) this.#live = this.#sessions.hold(sessionID)
    return this.#live
  }

  /** Lets go; later calls do nothing. */
  leave(): void {
    if (this.#live !== undefined && !this.#over) this.#sessions.release(this.#live)
    this.#over = true
  }
}
