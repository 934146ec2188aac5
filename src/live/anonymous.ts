/*
 * Open connections without a session: nothing is known of them but that they are open.
 * In: what was let in anonymously. Out: their number, and their end with the bridge.
 */
import type { WebSocket } from 'ws'

import type { SessionEnd } from '../verdict.js'
import type { Closable, ClosingConnections } from './closing.js'
import { shutGate, type BoundConnection } from './connection.js'
import type { Waiting } from '../store/deadline-queue.js'
import { inSlices } from '../store/slices.js'

/** A connection without a session that is no `ws` socket. */
export interface AnonymousConnection extends BoundConnection {
  /** From now on, no message of it reaches a handler: there is no context whose end would say so. */
  shut(): void
}

/** All anonymous connections of a bridge. */
export class AnonymousSockets {
  readonly #closing: ClosingConnections
  readonly #open = new Map<WebSocket | AnonymousConnection, AnonymousSocket>()

  constructor(closing: ClosingConnections) {
    this.#closing = closing
  }

  get size(): number {
    return this.#open.size
  }

  has(ws: WebSocket): boolean {
    return this.#open.has(ws)
  }

  add(ws: WebSocket): void {
    const anonymous = new AnonymousSocket(ws)
    this.#open.set(ws, anonymous)
    ws.once('close', () => {
      this.#closed(anonymous)
    })
  }

  /** The same for what is no WebSocket. */
  bind(connection: AnonymousConnection): void {
    const anonymous = new AnonymousSocket(connection)
    this.#open.set(connection, anonymous)
    connection.onClose(() => {
      this.#closed(anonymous)
    })
  }

  /** Ends one, if it is one of these. */
  end(connection: WebSocket | AnonymousConnection, end: SessionEnd): void {
    const anonymous = this.#open.get(connection)
    if (anonymous === undefined) return
    shut(connection)
    this.#closing.close(anonymous, end)
  }

  /** Resolves when all close frames are on their way. */
  async endAll(end: SessionEnd): Promise<void> {
    for (const connection of this.#open.keys()) shut(connection)
    await inSlices([...this.#open.keys()], (connection) => {
      this.end(connection, end)
    })
  }

  #closed(anonymous: AnonymousSocket): void {
    this.#open.delete(anonymous.connection)
    this.#closing.closed(anonymous)
  }
}

function shut(connection: WebSocket | AnonymousConnection): void {
  if ('shut' in connection) connection.shut()
  else shutGate(connection)
}

/** A connection's place among those that are closing. */
class AnonymousSocket implements Closable {
  previous: Waiting | undefined = undefined
  next: Waiting | undefined = undefined
  dueAt = 0
  readonly connection: WebSocket | AnonymousConnection

  constructor(connection: WebSocket | AnonymousConnection) {
    this.connection = connection
  }
}
