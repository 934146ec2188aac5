/*
 * The handshakes under way: between the upgrade (or a call of authenticate) and its answer.
 */
import type { Duplex } from 'node:stream'

import type { AuthResult } from '../authenticate/authenticator.js'
import { TimeoutQueue, type TimeoutNode } from '../internal/timeout-queue.js'
import { refusalOf } from '../refusals.js'
import { surviveErrors } from './survive-errors.js'

/** What can come before a handshake's own answer. */
export type AbandonReason = 'timeout' | 'client-gone' | 'shutting-down'

/** One handshake's place. */
export class PendingUpgrade implements TimeoutNode {
  previous: TimeoutNode | undefined
  next: TimeoutNode | undefined
  dueAt = 0
  readonly #places: TimeoutQueue<PendingUpgrade>
  readonly #answer: (judged: AuthResult) => void
  readonly #socket: Duplex | undefined
  /** Only with a socket: most objects here live no longer than a moment, and each costs. */
  #onGone: (() => void) | undefined
  #open = true

  constructor(places: TimeoutQueue<PendingUpgrade>, answer: (judged: AuthResult) => void, socket: Duplex | undefined) {
    this.#places = places
    this.#answer = answer
    this.#socket = socket
    places.add(this)
    if (socket === undefined) return
    this.#onGone = () => {
      this.abandon('client-gone')
    }
    surviveErrors(socket)
    socket.on('end', this.#onGone).on('close', this.#onGone)
  }

  /** Whether the answer is still wanted. */
  get isOpen(): boolean {
    return this.#open
  }

  /** Gives the place back, and the answer. Nothing happens if that has happened already: it is no longer wanted. */
  settle(judged: AuthResult): void {
    if (!this.#open) return
    this.#open = false
    this.#places.remove(this)
    const onGone = this.#onGone
    if (onGone !== undefined) this.#socket?.off('end', onGone).off('close', onGone)
    this.#answer(judged)
  }

  abandon(why: AbandonReason): void {
    this.settle(refusalOf(why))
  }
}

/** All handshakes under way, with a cap and a deadline. */
export class PendingUpgrades {
  readonly #max: number
  readonly #places: TimeoutQueue<PendingUpgrade>

  constructor(max: number, timeoutMs: number) {
    this.#max = max
    this.#places = new TimeoutQueue(timeoutMs, (handshake) => {
      handshake.abandon('timeout')
    })
  }

  get size(): number {
    return this.#places.size
  }

  /** A place for one more, which gives its answer once; undefined when all are taken. */
  open(answer: (judged: AuthResult) => void, socket?: Duplex): PendingUpgrade | undefined {
    return this.size < this.#max ? new PendingUpgrade(this.#places, answer, socket) : undefined
  }

  /** Abandons all of them, and stops the timer. */
  close(): void {
    for (let handshake = this.#places.shift(); handshake !== undefined; handshake = this.#places.shift()) {
      handshake.abandon('shutting-down')
    }
    this.#places.dispose()
  }
}
