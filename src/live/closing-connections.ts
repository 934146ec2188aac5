/*
 * Connections that have ended: close frame, grace, cut.
 */
import type { SessionEnd } from '../refusals.js'
import { TimeoutQueue, type TimeoutNode } from '../internal/timeout-queue.js'
import { fireAndForget } from '../internal/fire-and-forget.js'

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
  readonly #closing = new Map<Closable, Closing>()
  readonly #cuts = new TimeoutQueue<Closing>(graceMs, (closing) => {
    this.#cut(closing)
  })
  #onGone: (() => void) | undefined

  constructor(onFault: (error: unknown) => void) {
    this.#onFault = onFault
  }

  /** Sends the close frame. `text` is its reason, by default that of the end. */
  close(connection: Closable, { code, reason }: SessionEnd, text: string = reason): void {
    // It is closing already: it keeps the grace that it has.
    if (this.#closing.has(connection)) return
    const closing = new Closing(connection)
    this.#closing.set(connection, closing)
    this.#cuts.add(closing)
    fireAndForget(() => connection.close(code, text), this.#onFault)
  }

  /** To be called when a connection has closed. */
  closed(connection: Closable): void {
    const closing = this.#closing.get(connection)
    if (closing === undefined) return
    this.#cuts.remove(closing)
    this.#left(closing)
  }

  /** Resolves when all of them have closed, or have been cut. */
  async gone(): Promise<void> {
    if (this.#closing.size === 0) return
    await new Promise<void>((resolve) => (this.#onGone = resolve))
  }

  dispose(): void {
    this.#cuts.dispose()
  }

  /* Its 'close' comes a moment later, and people write in its listener: it has another grace for that. */
  #cut(closing: Closing): void {
    const { connection } = closing
    if (closing.terminated || connection.terminate === undefined) return this.#left(closing)
    closing.terminated = true
    this.#cuts.add(closing)
    fireAndForget(() => connection.terminate?.(), this.#onFault)
  }

  #left(closing: Closing): void {
    this.#closing.delete(closing.connection)
    if (this.#closing.size === 0) this.#onGone?.()
  }
}

/** A connection's place among those that are closing. */
class Closing implements TimeoutNode {
  previous: TimeoutNode | undefined = undefined
  next: TimeoutNode | undefined = undefined
  dueAt = 0
  readonly connection: Closable
  terminated = false

  constructor(connection: Closable) {
    this.connection = connection
  }
}
