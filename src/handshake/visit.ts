/*
 * A handshake's hold on its session: watched from before the load, let go exactly once.
 * In: a session ID, once the signature has proven it. Out: the live session, until the handshake is over.
 */
import type { LiveSession } from '../live/live-session.js'
import type { Sessions } from '../live/sessions.js'

export class Visit {
  readonly #sessions: Sessions
  #live: LiveSession | undefined
  #over = false

  constructor(sessions: Sessions) {
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
