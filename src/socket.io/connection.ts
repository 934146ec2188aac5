/*
 * One connection of Socket.IO, as far as its session's end is concerned.
 */
import type { EventEmitter } from 'node:events'

import type { AnonymousConnection } from '../live/anonymous.js'
import type { SessionContext } from '../live/session-context.js'
import { CloseCode } from '../refusals.js'
import type { EngineSocket, IoSocket, RawWebSocket } from './internals.js'

/** Ends after which the client is welcome to connect again by itself; 1012 is "service restart" (RFC 6455 registry). */
const comesBack: ReadonlySet<number> = new Set([CloseCode.shutdown, CloseCode.unverified, CloseCode.failed, 1012])

/** What Engine.IO's socket tells of what the client has sent. */
const inbound: ReadonlySet<string | symbol> = new Set(['packet', 'data', 'message'])

/** One connection: with any transport, and with sockets in any number of namespaces. */
export class Connection implements AnonymousConnection {
  /** Undefined for an anonymous one. */
  readonly context: SessionContext | undefined
  /** Its sockets that are connected to a namespace. */
  readonly sockets = new Set<IoSocket>()
  readonly #conn: EngineSocket
  #onMessage: (() => void) | undefined
  #isHandedOver = false
  #isShut = false
  #closing: number | undefined
  #leaving = 0

  constructor(conn: EngineSocket, context: SessionContext | undefined) {
    this.#conn = conn
    this.context = context
    this.#shutGateAtEnd()
    queueMicrotask(() => {
      this.#isHandedOver = true
      if (this.#closing !== undefined) this.#finish(this.#closing)
    })
  }

  /** Nothing of it may reach a handler any more. True from the very instant at which its session ended. */
  get isOver(): boolean {
    return this.#isShut || this.context?.ended !== undefined
  }

  /** Its sockets are being taken out of their namespaces. */
  get isLeaving(): boolean {
    return this.#leaving > 0
  }

  /** Whether the bridge ended it for good: then there is nothing to come back to. */
  get hasEnded(): boolean {
    const ended = this.context?.ended
    return ended !== undefined && ended.reason !== 'closed' && !comesBack.has(ended.code)
  }

  /** For what a client does that is more than being connected. */
  tellMessage(): void {
    this.#onMessage?.()
  }

  /** Runs what takes sockets out of their namespaces: to Socket.IO they are connected until it has. */
  leave<T>(leaving: () => T): T {
    this.#leaving += 1
    try {
      return leaving()
    } finally {
      this.#leaving -= 1
    }
  }

  // What the bridge calls -------------------------------------------------------------------------------------------

  drop(): void {
    this.#isShut = true
  }

  /* bind() may end it at once, when Socket.IO has not heard of it yet and would wait for a connection that is closed. */
  close(code: number): void {
    this.#closing = code
    if (this.#isHandedOver) this.#finish(code)
  }

  terminate(): void {
    const { transport } = this.#conn
    this.#conn.close(true)
    // A client that does not poll would be waited for, half a minute.
    transport.shouldClose?.()
    transport.socket?.terminate?.()
  }

  onClose(listener: () => void): void {
    this.#conn.once('close', () => {
      const ws = this.#closing === undefined ? undefined : this.#openWebSocket
      // Engine.IO is done with it when the close frame is on its way; we are when it is answered, or was cut.
      if (ws === undefined) listener()
      else ws.once('close', listener)
    })
  }

  onMessage(listener: () => void): void {
    this.#onMessage = listener
  }

  // -----------------------------------------------------------------------------------------------------------------

  /* A packet of Socket.IO's cannot carry a code. A client told to disconnect stays away; one that was cut comes back. */
  #finish(code: number): void {
    try {
      if (!comesBack.has(code)) {
        this.leave(() => {
          for (const socket of [...this.sockets]) socket.disconnect()
        })
      }
    } finally {
      // Whatever a 'disconnect' listener has thrown.
      this.#conn.close()
    }
  }

  /* For whoever listens to Engine.IO's socket itself, Socket.IO included. */
  #shutGateAtEnd(): void {
    const conn = this.#conn
    const emit: EventEmitter['emit'] = conn.emit.bind(conn)
    const gated = (event: string | symbol, ...args: unknown[]): boolean =>
      (!this.isOver || !inbound.has(event)) && emit(event, ...args)
    Object.defineProperty(conn, 'emit', { value: gated, configurable: true, writable: true })
  }

  get #openWebSocket(): RawWebSocket | undefined {
    const ws = this.#conn.transport.socket
    return ws === undefined || ws.readyState === closed ? undefined : ws
  }
}

/** `readyState` of a WebSocket that is no more. */
const closed = 3
