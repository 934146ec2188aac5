/*
 * The handshakes under way: between the upgrade (or a call of authenticate) and its answer.
 */
import type { Duplex } from 'node:stream'

import type { AuthResult } from '../authenticate/authenticator.js'
import { TimeoutQueue, type TimeoutNode } from '../internal/timeout-queue.js'
import type { EventSink } from '../live/event-sink.js'
import { refusalOf } from '../refusals.js'
import { surviveErrors } from './survive-errors.js'

/** What can come before the result of the authentication. */
type Abandonment = 'timeout' | 'client-gone' | 'shutting-down'

/** One handshake under way. */
export class PendingUpgrade implements TimeoutNode {
  previous: TimeoutNode | undefined
  next: TimeoutNode | undefined
  dueAt = 0
  #resolve!: (result: AuthResult) => void
  /** The result, or what comes before it: the deadline, the client's leaving, the bridge's `close()`. */
  readonly outcome = new Promise<AuthResult>((resolve) => {
    this.#resolve = resolve
  })
  readonly #queue: TimeoutQueue<PendingUpgrade>
  readonly #socket: Duplex | undefined
  #onLeave: (() => void) | undefined
  #isOpen = true

  constructor(queue: TimeoutQueue<PendingUpgrade>, socket: Duplex | undefined) {
    this.#queue = queue
    this.#socket = socket
    queue.add(this)
    if (socket === undefined) return
    this.#onLeave = () => {
      this.abandon('client-gone')
    }
    surviveErrors(socket)
    socket.on('end', this.#onLeave).on('close', this.#onLeave)
  }

  /** False once the request has been answered in another way: then nothing more is asked of the store or of `authorize`. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Waits for a result. An error is a fault, and refuses. */
  follow(result: Promise<AuthResult>, reports: EventSink): void {
    result.then(
      (settled) => {
        this.#settle(settled)
      },
      (error: unknown) => {
        // What was handed in is no request.
        reports.fault('upgrade', error)
        this.#settle(refusalOf('authorize-failed'))
      },
    )
  }

  abandon(why: Abandonment): void {
    this.#settle(refusalOf(why))
  }

  /* Gives the place back, once. */
  #settle(result: AuthResult): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#queue.remove(this)
    if (this.#onLeave !== undefined) this.#socket?.off('end', this.#onLeave).off('close', this.#onLeave)
    this.#resolve(result)
  }
}

/** All handshakes under way, with a limit and a deadline. */
export class PendingUpgrades {
  readonly #max: number
  readonly #queue: TimeoutQueue<PendingUpgrade>

  constructor(max: number, timeoutMs: number) {
    this.#max = max
    this.#queue = new TimeoutQueue(timeoutMs, (upgrade) => {
      upgrade.abandon('timeout')
    })
  }

  get size(): number {
    return this.#queue.size
  }

  /** One more; undefined when there are as many as there may be. A `socket` is watched: its client may leave. */
  add(socket?: Duplex): PendingUpgrade | undefined {
    return this.size < this.#max ? new PendingUpgrade(this.#queue, socket) : undefined
  }

  /** Abandons all of them, and stops the timer. */
  close(): void {
    for (let upgrade = this.#queue.shift(); upgrade !== undefined; upgrade = this.#queue.shift()) {
      upgrade.abandon('shutting-down')
    }
    this.#queue.dispose()
  }
}
