/*
 * How many sockets a session and a user may have.
 */
import type { Registry } from './registry.js'
import type { SessionSource } from './session-context.js'
import type { Users } from './users.js'

/** `maxSocketsPerSession` and `maxSocketsPerUser`. */
export class SocketLimits {
  readonly #maxSocketsPerSession: number
  readonly #registry: Registry
  readonly #users: Users

  constructor(maxSocketsPerSession: number, registry: Registry, users: Users) {
    this.#maxSocketsPerSession = maxSocketsPerSession
    this.#registry = registry
    this.#users = users
  }

  /** Whether a session can run out of places at all. */
  get perSession(): boolean {
    return this.#maxSocketsPerSession < Infinity
  }

  /** Whether a session has a place for one more handshake. Those under way have one each. */
  hasRoomForHandshake(sessionID: string): boolean {
    if (!this.perSession) return true
    const live = this.#registry.get(sessionID)
    return live === undefined || live.size + live.leases < this.#maxSocketsPerSession
  }

  /** Whether a session and its user have a place for one more connection. */
  hasRoom({ sessionID, user }: SessionSource): boolean {
    if (!this.#users.hasRoom(user)) return false
    return !this.perSession || (this.#registry.get(sessionID)?.size ?? 0) < this.#maxSocketsPerSession
  }
}
