/*
 * Upgrades that the bridge leaves to other listeners: if none of them answers in time, the bridge does.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

import { createPrivateSlot } from '../internal/private-slot.js'
import { TimeoutQueue, type TimeoutNode } from '../internal/timeout-queue.js'
import {
  bytesOnArrivalAt,
  bytesWrittenTo,
  hasArrived,
  isClaimed,
  noteArrival,
  type ClaimedUpgrade,
} from './claimed-upgrade.js'
import { forgetAnswers, hasOnlyEarlierAnswers, noteAnswers } from './earlier-answers.js'
import { surviveErrors, upgradeSocketOf } from './survive-errors.js'

const watched = createPrivateSlot<Duplex, UnansweredUpgrade | null>()

/** To be called where a bridge claims a socket: its handshake has a deadline of its own. */
export function stopWatching(socket: Duplex): void {
  watched.get(socket)?.forget()
}

/** Says who looks after an upgrade when its bridge closes; undefined where there is no other bridge. */
export type FindSuccessor = () => UnansweredUpgrades | undefined

/** An upgrade without an answer. */
class UnansweredUpgrade implements TimeoutNode {
  previous: TimeoutNode | undefined
  next: TimeoutNode | undefined
  dueAt = 0
  readonly request: IncomingMessage
  readonly socket: Duplex
  findSuccessor: FindSuccessor | undefined
  readonly #bytesOnArrival: number
  #queue: TimeoutQueue<UnansweredUpgrade> | undefined

  constructor(request: IncomingMessage, socket: Duplex, bytesOnArrival: number) {
    this.request = request
    this.socket = socket
    this.#bytesOnArrival = bytesOnArrival
    watched.set(socket, this)
    socket.on('end', onLeave).on('close', onLeave)
  }

  get isAnswered(): boolean {
    return bytesWrittenTo(this.socket) !== this.#bytesOnArrival
  }

  get hasDeadline(): boolean {
    return this.dueAt !== 0
  }

  /** Its deadline begins, in the queue of the bridge that looks after it from now on. */
  start(queue: TimeoutQueue<UnansweredUpgrade>): void {
    this.#queue?.remove(this)
    this.#queue = queue
    queue.add(this)
  }

  restart(): void {
    if (this.#queue !== undefined) this.start(this.#queue)
  }

  forget(): void {
    this.#queue?.remove(this)
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
  #isClosed = false

  constructor(timeoutMs: number, answer: AnswerUnanswered) {
    this.#answer = answer
    this.#queue = new TimeoutQueue(timeoutMs, (upgrade) => {
      this.#end(upgrade, 'not-found')
    })
    noteAnswers()
  }

  /**
   * Answers 404 when no byte has been written within the deadline. Once closed, there are no deadlines: it answers 503 to what no
   * listener answers at once. Nothing happens for a request that is no upgrade.
   */
  watch(request: IncomingMessage, findSuccessor?: FindSuccessor): void {
    const socket = upgradeSocketOf(request)
    if (socket === undefined) return
    surviveErrors(socket)
    // It may be a WebSocket by now, unless a router has seen it arrive.
    if (!hasArrived(socket) && !hasOnlyEarlierAnswers(socket)) return
    noteArrival(socket)
    if (isClaimed(socket) || socket.destroyed || watched.get(socket) === null) return
    const upgrade = watched.get(socket) ?? new UnansweredUpgrade(request, socket, bytesOnArrivalAt(socket))
    upgrade.findSuccessor ??= findSuccessor
    if (!upgrade.hasDeadline) this.#start(upgrade)
  }

  /** For an upgrade that ws has refused, and left to a listener of its 'wsClientError': that has as long to answer. */
  watchRefused({ request, socket, isAnsweredElsewhere }: ClaimedUpgrade): void {
    if (isAnsweredElsewhere || socket.destroyed) return
    this.#start(new UnansweredUpgrade(request, socket, bytesWrittenTo(socket)))
  }

  #start(upgrade: UnansweredUpgrade): void {
    if (!this.#isClosed) return upgrade.start(this.#queue)
    setImmediate(() => {
      // A listener may have asked another bridge about it meanwhile.
      if (!upgrade.hasDeadline) this.#end(upgrade, 'shutting-down')
    })
  }

  /** The deadline begins anew: who waited for a verdict needs time to answer. */
  restart(request: IncomingMessage): void {
    const socket = upgradeSocketOf(request)
    if (socket !== undefined) watched.get(socket)?.restart()
  }

  /** Leaves each of them to its successor, or answers it, and stops the timer. */
  close(): void {
    this.#isClosed = true
    for (let upgrade = this.#queue.shift(); upgrade !== undefined; upgrade = this.#queue.shift()) {
      const successor = upgrade.findSuccessor?.()
      if (successor === undefined) this.#end(upgrade, 'shutting-down')
      else upgrade.start(successor.#queue)
    }
    this.#queue.dispose()
    forgetAnswers()
  }

  #end(upgrade: UnansweredUpgrade, reason: 'not-found' | 'shutting-down'): void {
    // The client has left, or a bridge has claimed it.
    if (watched.get(upgrade.socket) !== upgrade) return
    upgrade.forget()
    if (!upgrade.isAnswered) this.#answer(upgrade.request, upgrade.socket, reason)
  }
}
