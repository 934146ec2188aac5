/*
 * The sessions that have connections in this process.
 */
import type { WebSocket } from 'ws'

import { createPrivateSlot } from '../internal/private-slot.js'
import type { Context } from './session-context.js'
import { LiveSession } from './live-session.js'

/** What happens when a session is wanted for the first time, and when nobody wants it any more. */
export interface RegistryListener {
  onEnter(live: LiveSession): void
  onLeave(live: LiveSession): void
}

/** All open connections and the handshakes under way, by session. */
export class Registry {
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

  /** Sessions as they came. Going through them may be interleaved with their coming and going. */
  sessions(): IterableIterator<LiveSession> {
    return this.#sessions.values()
  }

  /** Every open connection's context, as they are when they are asked for. */
  contexts(): Context[] {
    return [...this.#sessions.values()].flatMap(({ contexts }) => contexts)
  }

  contextOf(ws: WebSocket): Context | undefined {
    return this.#bySocket.get(ws)
  }

  connectionsOf(sessionID: string): number {
    return this.#sessions.get(sessionID)?.contexts.length ?? 0
  }

  /** The session, for a handshake that gives it back by `release`. */
  hold(sessionID: string): LiveSession {
    let live = this.#sessions.get(sessionID)
    if (live === undefined) {
      live = new LiveSession(flat(sessionID))
      this.#listener.onEnter(live)
      // Not before: if that throws, the next handshake must not find it here and take it for watched.
      this.#sessions.set(live.sessionID, live)
    }
    live.handshakes += 1
    return live
  }

  release(live: LiveSession): void {
    live.handshakes -= 1
    this.#leaveIfUnwanted(live)
  }

  add(live: LiveSession, context: Context): void {
    context.join(live, live.contexts.length)
    if (live.contexts.length > 0) {
      live.contexts.push(context)
    } else {
      this.#connected += 1
      // Most sessions have one connection, and an array that is pushed to has room for 17.
      live.contexts = [context]
    }
    if (context.ws !== undefined) this.#bySocket.set(context.ws, context)
    this.#connections += 1
  }

  /** Takes a context off its session, in the same time for the first of ten thousand and for the only one. */
  remove(live: LiveSession, context: Context): void {
    const last = live.contexts.pop()
    if (last !== undefined && last !== context) {
      live.contexts[context.slot] = last
      last.slot = context.slot
    }
    this.#connections -= 1
    if (live.contexts.length === 0) this.#connected -= 1
    this.#leaveIfUnwanted(live)
  }

  /** Takes all contexts off their session. */
  removeAll(live: LiveSession): Context[] {
    const { contexts } = live
    live.contexts = []
    this.#connections -= contexts.length
    if (contexts.length > 0) this.#connected -= 1
    this.#leaveIfUnwanted(live)
    return contexts
  }

  #leaveIfUnwanted(live: LiveSession): void {
    if (live.handshakes > 0 || live.contexts.length > 0 || this.#sessions.get(live.sessionID) !== live) return
    this.#sessions.delete(live.sessionID)
    this.#listener.onLeave(live)
  }
}

/* A copy of its own: cut out of a Cookie header, a session ID would keep all of the header for as long as it is kept itself. */
function flat(sessionID: string): string {
  return Buffer.from(sessionID).toString()
}
