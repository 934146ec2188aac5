/*
 * Open sockets without a session: nothing is known of them but that they are open.
 * In: sockets that were let in anonymously. Out: their number, and their end with the bridge.
 */
import type { WebSocket } from 'ws'

import type { SessionEnd } from '../verdict.js'
import type { Closable, ClosingConnections } from './closing.js'
import { shutGate } from './connection.js'
import type { Waiting } from '../store/deadline-queue.js'
import { inSlices } from '../store/slices.js'

/** All anonymous sockets of a bridge. */
export class AnonymousSockets {
  readonly #closing: ClosingConnections
  readonly #open = new Map<WebSocket, AnonymousSocket>()

  constructor(closing: ClosingConnections) {
    this.#closing = closing
  }

  get size(): number {
    return this.#open.size
  }

  add(ws: WebSocket): void {
    const anonymous = new AnonymousSocket(ws)
    this.#open.set(ws, anonymous)
    ws.once('close', () => {
      this.#open.delete(ws)
      this.#closing.closed(anonymous)
    })
  }

  /** Ends one, if it is one of these. */
  end(ws: WebSocket, end: SessionEnd): void {
    const anonymous = this.#open.get(ws)
    if (anonymous === undefined) return
    shutGate(ws)
    this.#closing.close(anonymous, end)
  }

  /** Resolves when all close frames are on their way. */
  async endAll(end: SessionEnd): Promise<void> {
    for (const ws of this.#open.keys()) shutGate(ws)
    await inSlices([...this.#open.keys()], (ws) => {
      this.end(ws, end)
    })
  }
}

/** A socket's place among those that are closing. */
class AnonymousSocket implements Closable {
  previous: Waiting | undefined = undefined
  next: Waiting | undefined = undefined
  dueAt = 0
  readonly connection: WebSocket

  constructor(ws: WebSocket) {
    this.connection = ws
  }
}
