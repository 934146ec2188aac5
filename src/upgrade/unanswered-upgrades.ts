/*
 * Upgrades that the bridge leaves to other listeners: if none of them answers in time, the bridge does.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

import { createPrivateSlot } from '../internal/private-slot.js'
import { TimeoutQueue, type TimeoutNode } from '../internal/timeout-queue.js'
import { bytesOnArrivalAt, bytesWrittenTo, hasArrived, isClaimed, noteArrival } from './claimed-upgrade.js'
import { forgetAnswers, hasOnlyEarlierAnswers, noteAnswers } from './earlier-answers.js'
import { surviveErrors, upgradeSocketOf } from './survive-errors.js'

const watched = createPrivateSlot<Duplex, UnansweredUpgrade | null>()

/** To be called where a bridge claims a socket: its handshake has a deadline of its own. */
export function stopWatching(socket: Duplex): void {
  watched.get(socket)?.forget()
}

/** An upgrade without an answer. */
class UnansweredUpgrade implements TimeoutNode {
  previous: TimeoutNode | undefined
  next: TimeoutNode | undefined
  dueAt = 0
  readonly request: IncomingMessage
  readonly socket: Duplex
  readonly #queue: TimeoutQueue<UnansweredUpgrade>
  readonly #bytesOnArrival: number

  constructor(queue: TimeoutQueue<UnansweredUpgrade>, request: IncomingMessage, socket: Duplex) {
    this.#queue = queue
    this.request = request
    this.socket = socket
    this.#bytesOnArrival = bytesOnArrivalAt(socket)
    watched.set(socket, this)
    socket.on('end', onLeave).on('close', onLeave)
    queue.add(this)
  }

  get isAnswered(): boolean {
    return bytesWrittenTo(this.socket) !== this.#bytesOnArrival
  }

  restart(): void {
    this.#queue.remove(this)
    this.#queue.add(this)
  }

  forget(): void {
    this.#queue.remove(this)
    this.socket.off('end', onLeave).off('close', onLeave)
    // Not undefined: a socket that was watched once is not watched again.
    watched.set(this.socket, null)
  }
}

/* The client has left. Its half-open connection would stay open, and `server.close()` would wait for it. */
function onLeave(this: Duplex): void {
  const upgrade = watched.get(this)
  if (!upgrade) return
  upgrade.forget()
  if (!upgrade.isAnswered) this.destroy()
}

/** What the bridge does with an upgrade that got no answer in time. */
export type AnswerUnanswered = (request: IncomingMessage, socket: Duplex, reason: 'not-found' | 'shutting-down') => void

/** All of one bridge. */
export class UnansweredUpgrades {
  readonly #answer: AnswerUnanswered
  readonly #queue: TimeoutQueue<UnansweredUpgrade>

  constructor(timeoutMs: number, answer: AnswerUnanswered) {
    this.#answer = answer
    this.#queue = new TimeoutQueue(timeoutMs, (upgrade) => {
      this.#end(upgrade, 'not-found')
    })
    noteAnswers()
  }

  /** Answers 404 when no byte has been written within the deadline. Nothing happens for a request that is no upgrade. */
  watch(request: IncomingMessage): void {
    const socket = upgradeSocketOf(request)
    if (socket === undefined) return
    surviveErrors(socket)
    // It may be a WebSocket by now, unless a router has seen it arrive.
    if (!hasArrived(socket) && !hasOnlyEarlierAnswers(socket)) return
    noteArrival(socket)
    if (isClaimed(socket) || socket.destroyed || watched.get(socket) !== undefined) return
    new UnansweredUpgrade(this.#queue, request, socket)
  }

  /** The deadline begins anew: who waited for a verdict needs time to answer. */
  restart(request: IncomingMessage): void {
    const socket = upgradeSocketOf(request)
    if (socket !== undefined) watched.get(socket)?.restart()
  }

  /** Answers all of them, and stops the timer. */
  close(): void {
    for (let upgrade = this.#queue.shift(); upgrade !== undefined; upgrade = this.#queue.shift()) {
      this.#end(upgrade, 'shutting-down')
    }
    this.#queue.dispose()
    forgetAnswers()
  }

  #end(upgrade: UnansweredUpgrade, reason: 'not-found' | 'shutting-down'): void {
    upgrade.forget()
    if (!upgrade.isAnswered) this.#answer(upgrade.request, upgrade.socket, reason)
  }
}
