/*
 * Which connected sessions belong to which user.
 *
 * It is kept by session, not by connection: all connections of a session have one user. Most users have one session, and then
 * the map holds that session itself; a set is made for the second one. So a user costs one entry of a map.
 */

/** What the index keeps: a session that knows its user and its connections. */
export interface UserSession {
  readonly user: string | undefined
  /** How many connections it has. */
  readonly size: number
}

/** The connected sessions of one bridge, by user. */
export class UserIndex<S extends UserSession> {
  readonly #sessions = new Map<string, S | Set<S>>()

  /** How many users have connections. */
  get size(): number {
    return this.#sessions.size
  }

  /** To be called when a session of this user gets its first connection, or a connected session becomes this user's. */
  add(user: string, session: S): void {
    const known = this.#sessions.get(user)
    if (known === undefined) this.#sessions.set(user, session)
    else if (known instanceof Set) known.add(session)
    else if (known !== session) this.#sessions.set(user, new Set([known, session]))
  }

  /** To be called when a session of this user has lost its last connection, or is no longer this user's. */
  remove(user: string, session: S): void {
    const known = this.#sessions.get(user)
    if (known === session) this.#sessions.delete(user)
    if (!(known instanceof Set) || !known.delete(session)) return
    if (known.size === 0) this.#sessions.delete(user)
  }

  /** A copy: sessions may come and go while it is walked through. */
  sessionsOf(user: string): S[] {
    const known = this.#sessions.get(user)
    if (known === undefined) return []
    return known instanceof Set ? [...known] : [known]
  }

  /** How many connections a user has, all sessions together. */
  connectionsOf(user: string): number {
    return this.sessionsOf(user).reduce((count, { size }) => count + size, 0)
  }
}
