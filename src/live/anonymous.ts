/*
 * Open connections without a session: nothing is known of them but that they are open.
 */
import type { WebSocket } from 'ws'

import type { SessionEnd } from '../refusals.js'
import type { ClosingConnections } from './closing-connections.js'
import type { BoundConnection } from './connection.js'
import { muteMessages } from './message-gate.js'
import { forEachInBatches } from '../internal/batches.js'

/** A connection without a session that is no `ws` socket. */
export interface AnonymousConnection extends BoundConnection {
  /** From now on, no message of it reaches a handler: there is no context whose end would say so. */
  drop(): void
}

/** All anonymous connections of a bridge. */
export class AnonymousSockets {
  readonly #closing: ClosingConnections
  readonly #open = new Set<WebSocket | AnonymousConnection>()

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
    this.#open.add(ws)
    ws.once('close', () => {
      this.#closed(ws)
    })
  }

  /** The same for what is no WebSocket. */
  bind(connection: AnonymousConnection): void {
    this.#open.add(connection)
    connection.onClose(() => {
      this.#closed(connection)
    })
  }

  /** Ends one, if it is one of these. */
  end(connection: WebSocket | AnonymousConnection, end: SessionEnd): void {
    if (!this.#open.has(connection)) return
    shut(connection)
    this.#closing.close(connection, end)
  }

  /** Resolves when all close frames are on their way. */
  async endAll(end: SessionEnd): Promise<void> {
    for (const connection of this.#open) shut(connection)
    await forEachInBatches([...this.#open], (connection) => {
      this.end(connection, end)
    })
  }

  #closed(connection: WebSocket | AnonymousConnection): void {
    this.#open.delete(connection)
    this.#closing.closed(connection)
  }
}

function shut(connection: WebSocket | AnonymousConnection): void {
  if ('drop' in connection) connection.drop()
  else muteMessages(connection)
}
