/*
 * A handshake's hold on its session: watched from before the load, let go exactly once.
 *
 * It carries the freshness protocol: what a load found counts only if nothing has been heard of the session between the
 * beginning of that load and the moment at which `isCurrent` is asked. A caller loads again until it is current, and asks once
 * more right before it lets the connection in, with nothing asynchronous in between.
 */
import { equalIgnoringExpiry } from '../store/session-equality.js'
import type { LiveSession } from './live-session.js'
import type { LiveSessions } from './live-sessions.js'
import type { FoundSession, Loaded } from './session-context.js'

/** One handshake's lease of one session. */
export class SessionLease {
  readonly #sessions: LiveSessions
  readonly #isWatched: boolean
  #sessionID = ''
  #live: LiveSession | undefined
  #isReleased = false
  /** As they were when the last load began. */
  #version = 0
  #removals = 0
  #loadBegunAt = 0

  /** @param isWatched false: the session takes no place, and only removals by this process make a load outdated */
  constructor(sessions: LiveSessions, isWatched = true) {
    this.#sessions = sessions
    this.#isWatched = isWatched
  }

  /** The session, where it is watched. */
  get live(): LiveSession | undefined {
    return this.#live
  }

  /**
   * Takes a place of the session, and watches it from now on. Undefined after the release, when no caller waits for the answer, and
   * for a lease that does not watch.
   *
   * @throws what the LiveStore's `watch` throws.
   */
  acquire(sessionID: string): LiveSession | undefined {
    this.#sessionID = sessionID
    if (this.#isWatched && !this.#isReleased) this.#live = this.#sessions.registry.lease(sessionID)
    return this.#live
  }

  /**
   * Loads the session. While a `destroy` of this process is under way, it waits for its answer first.
   *
   * @throws (or rejects with) what the store fails with.
   */
  load(): Promise<Loaded> {
    const destroyed = this.#sessions.ownDestroys.settled(this.#sessionID)
    return destroyed === undefined ? this.#load() : destroyed.then(() => this.#load())
  }

  /** Whether what the last load found is still all that is known of the session, but for a touch. */
  isCurrent({ snapshot }: FoundSession): boolean {
    const live = this.#live
    if (this.#sessions.ownDestroys.isUnderWay(this.#sessionID) || this.isRemoved) return false
    if (live === undefined) return true
    return live.version === this.#version && live.snapshot !== undefined && equalIgnoringExpiry(live.snapshot, snapshot)
  }

  /** Whether its expiry has passed since the last load began. */
  hasExpiredSinceLoad(found: FoundSession): boolean {
    return this.#sessions.operations.hasExpiredSince(this.#loadBegunAt, found)
  }

  /** Whether the session was found to be gone since the last load began. */
  get isRemoved(): boolean {
    if (this.#sessions.ownDestroys.wasRemovedSince(this.#sessionID, this.#removals)) return true
    return this.#live?.wasRemovedSince(this.#version) === true
  }

  /** Lets go; later calls do nothing. */
  release(): void {
    if (this.#live !== undefined && !this.#isReleased) this.#sessions.registry.release(this.#live)
    this.#isReleased = true
  }

  /* No async function: each would cost every handshake a promise, and a turn of its own. */
  #load(): Promise<Loaded> {
    const { ownDestroys, operations, revalidator } = this.#sessions
    const live = this.#live
    this.#version = live?.version ?? 0
    this.#removals = ownDestroys.removals
    this.#loadBegunAt = operations.now
    if (live === undefined) return operations.findForHandshake(this.#sessionID)
    return revalidator.loadForHandshake(live, this.#removals)
  }
}
