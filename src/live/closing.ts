/*
 * The end of a socket: no more messages at once, then the close frame, then a grace, then the connection is cut.
 * In: an open WebSocket and why it ends. Out: a closed one.
 */
import type { EventEmitter } from 'node:events'

import type { WebSocket } from 'ws'

import type { SessionEnd } from '../verdict.js'
import { DeadlineQueue, type Waiting } from './deadline-queue.js'

/** How long a client may take to answer the close frame, in ms. */
const graceMs = 1_000

/** Sockets whose close frame is on its way. */
export class ClosingSockets {
  readonly #cuts = new DeadlineQueue<Closing>(graceMs, ({ ws }) => {
    ws.terminate()
  })
  #onGone: (() => void) | undefined
  #open = 0

  /** Starts a socket's end. `reason` is what the close frame says. */
  close(ws: WebSocket, { code, reason }: SessionEnd): void {
    shutGate(ws)
    if (ws.readyState === ws.CLOSED) return
    const closing = new Closing(ws)
    this.#cuts.add(closing)
    this.#open += 1
    ws.once('close', () => {
      this.#cuts.remove(closing)
      this.#open -= 1
      if (this.#open === 0) this.#onGone?.()
    })
    ws.close(code, reason)
  }

  /** Resolves when all of them have closed. */
  async gone(): Promise<void> {
    if (this.#open === 0) return
    await new Promise<void>((resolve) => (this.#onGone = resolve))
  }

  dispose(): void {
    this.#cuts.dispose()
  }
}

class Closing implements Waiting {
  previous: Waiting | undefined
  next: Waiting | undefined
  dueAt = 0
  readonly ws: WebSocket

  constructor(ws: WebSocket) {
    this.ws = ws
  }
}

/*
 * ws delivers what still arrives until the client answers the close frame. Its listeners hang on `emit`, those of
 * addEventListener too, so one function in its place closes the gate, and costs nothing before the end.
 */
function shutGate(ws: WebSocket): void {
  Object.defineProperty(ws, 'emit', { value: emitButMessages, configurable: true, writable: true })
}

function emitButMessages(this: WebSocket, event: string | symbol, ...args: unknown[]): boolean {
  if (event === 'message') return false
  return (Object.getPrototypeOf(this) as EventEmitter).emit.call(this, event, ...args)
}
