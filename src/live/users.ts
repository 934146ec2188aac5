/*
 * Whose sessions the connected ones are.
 *
 * Invariant: a session is in the index, by its user, exactly as long as it has a user and at least one connection.
 */
import type { SessionSnapshot } from '../store/snapshot.js'
import type { EventSink } from './event-sink.js'
import { userOf, type Identify } from './identify.js'
import type { LiveSession } from './live-session.js'
import { UserIndex } from './user-index.js'

/** The users of one bridge. Without `identify`, there are none, and nothing is kept. */
export class Users {
  readonly #identify: Identify | undefined
  readonly #most: number
  readonly #reports: EventSink
  readonly #index = new UserIndex<LiveSession>()

  /** @param most how many connections one user may have: option `maxSocketsPerUser` */
  constructor(identify: Identify | undefined, most: number, reports: EventSink) {
    this.#identify = identify
    this.#most = most
    this.#reports = reports
  }

  /** How many users have connections. */
  get size(): number {
    return this.#index.size
  }

  /** Whose session it is. What goes wrong is a fault, and then it has no user. */
  of(snapshot: SessionSnapshot): string | undefined {
    if (this.#identify === undefined) return undefined
    try {
      return userOf(this.#identify, snapshot)
    } catch (error) {
      this.#reports.fault('identify', error)
      return undefined
    }
  }

  /** The session has new data: it may be another user's now. */
  changed(live: LiveSession, snapshot: SessionSnapshot): void {
    const user = this.of(snapshot)
    if (user === live.user) return
    this.disconnected(live)
    live.user = user
    if (live.size > 0) this.connected(live)
  }

  /** The session got its first connection. */
  connected(live: LiveSession): void {
    if (live.user !== undefined) this.#index.add(live.user, live)
  }

  /** The session has lost its last connection. */
  disconnected(live: LiveSession): void {
    if (live.user !== undefined) this.#index.remove(live.user, live)
  }

  sessionsOf(user: string): LiveSession[] {
    return this.#index.sessionsOf(user)
  }

  /** Whether `maxSocketsPerUser` leaves a place for one more connection. */
  hasRoom(user: string | undefined): boolean {
    return user === undefined || this.#most === Infinity || this.#index.connectionsOf(user) < this.#most
  }
}
