/*
 * The sessions that have connections in this process, or handshakes under way.
 */
import type { WebSocket } from 'ws'

import { createPrivateSlot } from '../internal/private-slot.js'
import { LiveSession } from './live-session.js'
import type { Context } from './session-context.js'

/** Is told when a session is wanted for the first time, and when it is no longer wanted. */
export interface RegistryListener {
  /** What this throws, the handshake fails with. */
  sessionEntered(live: LiveSession): void
  sessionLeft(live: LiveSession): void
  /** A session got its first connection. */
  sessionConnected(live: LiveSession): void
  /** A session has lost its last connection. */
  sessionDisconnected(live: LiveSession): void
}

/** All open connections and the handshakes under way, by session. */
export class Registry {
  /** In the order of their last check, the oldest first. */
  readonly #sessions = new Map<string, LiveSession>()
  readonly #bySocket = createPrivateSlot<WebSocket, Context>()
  readonly #listener: RegistryListener
  #connections = 0
  #connected = 0

  constructor(listener: RegistryListener) {
    this.#listener = listener
  }

  get connections(): number {
    return this.#connections
  }

  /** How many sessions have connections. */
  get size(): number {
    return this.#connected
  }

  get(sessionID: string): LiveSession | undefined {
    return this.#sessions.get(sessionID)
  }

  /** All sessions by their IDs. */
  get byID(): ReadonlyMap<string, LiveSession> {
    return this.#sessions
  }

  /** All sessions, those first whose last check is the longest ago. Not to be gone through while sessions are checked. */
  byLastCheck(): IterableIterator<LiveSession> {
    return this.#sessions.values()
  }

  /** All sessions, as they are at the call. */
  sessions(): LiveSession[] {
    return [...this.#sessions.values()]
  }

  /** Every open connection's context, as they are at the call. */
  contexts(): Context[] {
    return this.sessions().flatMap((live) => live.contexts())
  }

  contextOf(ws: WebSocket): Context | undefined {
    return this.#bySocket.get(ws)
  }

  /** The session has been checked: all others are before it now. */
  checked(live: LiveSession): void {
    // A read of one that has left may still be on its way.
    if (this.#sessions.get(live.sessionID) !== live) return
    this.#sessions.delete(live.sessionID)
    this.#sessions.set(live.sessionID, live)
  }

  /** Watches a session until `release`. */
  lease(sessionID: string): LiveSession {
    let live = this.#sessions.get(sessionID)
    if (live === undefined) {
      live = new LiveSession(flat(sessionID))
      this.#listener.sessionEntered(live)
      // Not before: if that throws, the next handshake must not find it here and take it for watched.
      this.#sessions.set(live.sessionID, live)
    }
    live.leases += 1
    return live
  }

  release(live: LiveSession): void {
    live.leases -= 1
    this.#leaveIfUnwanted(live)
  }

  add(live: LiveSession, context: Context): void {
    const isFirst = live.size === 0
    context.join(live, live.add(context))
    if (isFirst) {
      this.#connected += 1
      this.#listener.sessionConnected(live)
    }
    if (context.ws !== undefined) this.#bySocket.set(context.ws, context)
    this.#connections += 1
  }

  /** Takes a connection off its session. */
  remove(live: LiveSession, context: Context): void {
    live.remove(context)
    this.#connections -= 1
    if (live.size === 0) this.#disconnected(live)
    this.#leaveIfUnwanted(live)
  }

  /** Takes all connections off their session. */
  removeAll(live: LiveSession): Context[] {
    const contexts = live.removeAll()
    this.#connections -= contexts.length
    if (contexts.length > 0) this.#disconnected(live)
    this.#leaveIfUnwanted(live)
    return contexts
  }

  #disconnected(live: LiveSession): void {
    this.#connected -= 1
    this.#listener.sessionDisconnected(live)
  }

  #leaveIfUnwanted(live: LiveSession): void {
    if (live.leases > 0 || live.size > 0 || this.#sessions.get(live.sessionID) !== live) return
    this.#sessions.delete(live.sessionID)
    this.#listener.sessionLeft(live)
  }
}

/* A copy of its own: cut out of a Cookie header, a session ID would keep all of the header for as long as it is kept itself. */
function flat(sessionID: string): string {
  return Buffer.from(sessionID).toString()
}
