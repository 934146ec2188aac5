/*
 * Connections that have ended: close frame, grace, cut.
 */
import { Drain } from '../internal/drain.js'
import { fireAndForget } from '../internal/fire-and-forget.js'
import type { SessionEnd } from '../refusals.js'

/** How long a client may take to answer the close frame, in ms. */
const graceMs = 1_000

/** Something that can be closed: a WebSocket, or what a user has bound. */
export interface Closable {
  close(code: number, reason: string): unknown
  terminate?(): unknown
}

/** Connections whose close frame is on its way. */
export class ClosingConnections {
  readonly #onFault: (error: unknown) => void
  readonly #closing: Drain<Closable>

  constructor(onFault: (error: unknown) => void) {
    this.#onFault = onFault
    this.#closing = new Drain(graceMs, (connection) => this.#cut(connection))
  }

  /** Sends the close frame. `text` is its reason, by default that of the end. */
  close(connection: Closable, { code, reason }: SessionEnd, text: string = reason): void {
    if (this.#closing.add(connection)) fireAndForget(() => connection.close(code, text), this.#onFault)
  }

  /** To be called when a connection has closed. */
  closed(connection: Closable): void {
    this.#closing.closed(connection)
  }

  /** Resolves when all of them have closed, or have been cut. */
  gone(): Promise<void> {
    return this.#closing.empty()
  }

  dispose(): void {
    this.#closing.dispose()
  }

  #cut(connection: Closable): boolean {
    if (connection.terminate === undefined) return false
    fireAndForget(() => connection.terminate?.(), this.#onFault)
    return true
  }
}
