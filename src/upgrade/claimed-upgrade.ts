/*
 * One upgrade that a bridge answers, unless another listener of the server does.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

import { createPrivateSlot } from '../internal/private-slot.js'
import { surviveErrors } from './survive-errors.js'

/** How many bytes had been written to a raw socket when a bridge saw it first; `claimed` once a bridge answers it. */
const arrivals = createPrivateSlot<Duplex, number>()
const claimed = -1

/** To be called for each raw socket as early as possible: what is written later was written by another listener. */
export function noteArrival(socket: Duplex): void {
  if (arrivals.get(socket) !== undefined) return
  surviveErrors(socket)
  arrivals.set(socket, bytesWrittenTo(socket))
}

/** Whether a bridge has seen this socket already. */
export function hasArrived(socket: Duplex): boolean {
  return arrivals.get(socket) !== undefined
}

/** Whether a bridge answers this socket. */
export function isClaimed(socket: Duplex): boolean {
  return arrivals.get(socket) === claimed
}

/** How many bytes had been written when the socket was seen first. Only for a socket that is not claimed. */
export function bytesOnArrivalAt(socket: Duplex): number {
  return arrivals.get(socket) ?? 0
}

/** A keep-alive connection starts above 0. A stream that does not count its bytes is taken for one that no listener writes to. */
export function bytesWrittenTo(socket: Duplex & { bytesWritten?: number }): number {
  return socket.bytesWritten ?? 0
}

/** One upgrade as Node's 'upgrade' event brings it. */
export class ClaimedUpgrade {
  readonly request: IncomingMessage
  readonly socket: Duplex
  /** What came after the request's headers, before its answer. */
  readonly head: Buffer
  #bytesOnArrival: number

  private constructor(request: IncomingMessage, socket: Duplex, head: Buffer, bytesOnArrival: number) {
    this.request = request
    this.socket = socket
    this.head = head
    this.#bytesOnArrival = bytesOnArrival
  }

  /** Undefined if a bridge has the socket already: ws throws when it gets the same one a second time. */
  static claim(request: IncomingMessage, socket: Duplex, head: Buffer): ClaimedUpgrade | undefined {
    noteArrival(socket)
    const bytesOnArrival = bytesOnArrivalAt(socket)
    if (bytesOnArrival === claimed) return undefined
    arrivals.set(socket, claimed)
    return new ClaimedUpgrade(request, socket, head, bytesOnArrival)
  }

  /** Whether a request that came before it on its connection is still being answered. */
  get isBehindAnswer(): boolean {
    return answerUnderWay(this.socket) !== undefined
  }

  /** Resolves when all requests before it are answered; undefined where they are. */
  earlierAnswers(): Promise<void> | undefined {
    return this.isBehindAnswer ? this.#earlierAnswers() : undefined
  }

  /* What was written for them is no answer to this one. */
  async #earlierAnswers(): Promise<void> {
    for (let answer = answerUnderWay(this.socket); answer !== undefined; answer = answerUnderWay(this.socket)) {
      await closeOf(answer)
    }
    this.#bytesOnArrival = bytesWrittenTo(this.socket)
  }

  /** Whether another listener has written to the socket since it arrived. */
  get isAnsweredElsewhere(): boolean {
    return bytesWrittenTo(this.socket) !== this.#bytesOnArrival
  }

  /*
   * A FIN with unread bytes before it gives no event, and leaves the socket readable and writable. ws, too, looks at the stream's
   * own state, since there is no public name for "the other end has finished".
   */
  get isOpen(): boolean {
    const socket: Duplex & { _readableState?: { ended?: boolean } } = this.socket
    return socket.readable && socket.writable && !socket.destroyed && socket._readableState?.ended !== true
  }
}

/* `once` of node:events would listen for 'error', too, and so hide it from the app. */
function closeOf(answer: ServerResponse): Promise<void> {
  return new Promise((resolve) => answer.once('close', resolve))
}

/*
 * A client may send its upgrade before earlier requests of the connection are answered (pipelining; RFC 9112, section 9.3.2: the
 * answers come in the order of the requests). Node has no public name for the answer that a socket is being written to.
 */
function answerUnderWay(socket: Duplex & { _httpMessage?: ServerResponse | null }): ServerResponse | undefined {
  return socket.destroyed ? undefined : (socket._httpMessage ?? undefined)
}
