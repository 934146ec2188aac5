/*
 * The sessions that have connections in this process.
 * In: contexts as their sockets open and close. Out: contexts by socket and by session ID, and their numbers.
 */
import type { WebSocket } from 'ws'

import type { SessionEnd } from '../verdict.js'
import type { Context } from './context.js'

/** All open connections. */
export class Registry {
  readonly #bySession = new Map<string, Set<Context>>()
  readonly #bySocket = new WeakMap<WebSocket, Context>()
  #connections = 0

  get connections(): number {
    return this.#connections
  }

  get sessions(): number {
    return this.#bySession.size
  }

  contextOf(ws: WebSocket): Context | undefined {
    return this.#bySocket.get(ws)
  }

  connectionsOf(sessionID: string): number {
    return this.#bySession.get(sessionID)?.size ?? 0
  }

  /** Every open connection's context. */
  *contexts(): IterableIterator<Context> {
    for (const contexts of this.#bySession.values()) yield* contexts
  }

  add(context: Context, ws: WebSocket): void {
    context.open(ws)
    this.#bySocket.set(ws, context)
    const contexts = this.#bySession.get(context.sessionID)
    if (contexts === undefined) this.#bySession.set(context.sessionID, new Set([context]))
    else contexts.add(context)
    this.#connections += 1
  }

  /** Releases a context. False if it has ended before. */
  end(context: Context, end: SessionEnd): boolean {
    if (!context.end(end)) return false
    const contexts = this.#bySession.get(context.sessionID)
    if (contexts?.delete(context) === true) this.#connections -= 1
    if (contexts?.size === 0) this.#bySession.delete(context.sessionID)
    return true
  }
}
