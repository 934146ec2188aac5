/*
 * Connections that have ended: close frame, grace, cut.
 * In: an open connection and why it ends. Out: a closed one.
 */
import type { SessionEnd } from '../verdict.js'
import { DeadlineQueue, type Waiting } from '../store/deadline-queue.js'
import { callUnawaited } from '../store/unawaited.js'

/** How long a client may take to answer the close frame, in ms. */
const graceMs = 1_000

/** Something that can be closed, with its place in the queue of those that are. */
export interface Closable extends Waiting {
  readonly connection: { close(code: number, reason: string): void; terminate?(): void } | undefined
}

/** Connections whose close frame is on its way. */
export class ClosingConnections {
  readonly #onFault: (error: unknown) => void
  readonly #cuts = new DeadlineQueue<Closable>(graceMs, (closable) => {
    this.#cut(closable)
  })
  /** Those that were cut and have not told their 'close' yet. */
  readonly #terminated = new Set<Closable>()
  #onGone: (() => void) | undefined

  constructor(onFault: (error: unknown) => void) {
    this.#onFault = onFault
  }

  /** Sends the close frame. `text` is its reason, by default that of the end. */
  close(closable: Closable, { code, reason }: SessionEnd, text: string = reason): void {
    // It is closing already: it keeps the grace that it has.
    if (closable.dueAt !== 0) return
    this.#cuts.add(closable)
    callUnawaited(() => closable.connection?.close(code, text), this.#onFault)
  }

  /** To be called when a connection has closed. */
  closed(closable: Closable): void {
    this.#cuts.remove(closable)
    this.#terminated.delete(closable)
    this.#left()
  }

  /** Resolves when all of them have closed, or have been cut. */
  async gone(): Promise<void> {
    if (this.#cuts.size === 0) return
    await new Promise<void>((resolve) => (this.#onGone = resolve))
  }

  dispose(): void {
    this.#cuts.dispose()
  }

  /* Its 'close' comes a moment later, and people write in its listener: it has another grace for that. */
  #cut(closable: Closable): void {
    const { connection } = closable
    if (connection?.terminate !== undefined && !this.#terminated.delete(closable)) {
      this.#terminated.add(closable)
      this.#cuts.add(closable)
      callUnawaited(() => connection.terminate?.(), this.#onFault)
    }
    this.#left()
  }

  #left(): void {
    if (this.#cuts.size === 0) this.#onGone?.()
  }
}
