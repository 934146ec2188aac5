/*
 * One connection of Socket.IO, as far as its session's end is concerned.
 */
import type { EventEmitter } from 'node:events'

import type { AnonymousConnection } from '../live/anonymous.js'
import type { HoldableConnection } from '../live/connection.js'
import type { SessionContext } from '../live/session-context.js'
import { CloseCode } from '../refusals.js'
import type { EngineSocket, IoSocket, RawWebSocket } from './internals.js'

/** Ends after which the client is welcome to connect again by itself; 1012 is "service restart" (RFC 6455 registry). */
const comesBack: ReadonlySet<number> = new Set([CloseCode.shutdown, CloseCode.unverified, CloseCode.failed, 1012])

/** What Engine.IO's socket tells of what the client has sent. */
const inbound: ReadonlySet<string | symbol> = new Set(['packet', 'data', 'message'])

/** More messages than that are not held: such a connection is cut. */
const maxHeld = 1_000

/** One connection: with any transport, and with sockets in any number of namespaces. */
export class Connection implements AnonymousConnection, HoldableConnection {
  /** Undefined for an anonymous one. */
  readonly context: SessionContext | undefined
  /** Its sockets that are connected to a namespace. */
  readonly sockets = new Set<IoSocket>()
  readonly #conn: EngineSocket
  readonly #held: (() => void)[] = []
  #isHeld = false
  #onMessage: (() => void) | undefined
  #isHandedOver = false
  #isShut = false
  #closing: number | undefined
  #leaving = 0

  constructor(conn: EngineSocket, context: SessionContext | undefined) {
    this.#conn = conn
    this.context = context
    this.#guardEvents()
    queueMicrotask(() => {
      this.#isHandedOver = true
      if (this.#closing !== undefined) this.#finish(this.#closing)
    })
  }

  /** Whether its messages must not reach a handler. True from the moment at which its session ended. */
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

  /** Runs what takes a message to a handler: now, or when the connection is released, or never. */
  deliver(run: () => void): void {
    if (this.isOver) return
    if (!this.#isHeld) return run()
    this.#held.push(run)
    // A client that polls cannot be paused.
    if (this.#held.length > maxHeld) this.terminate()
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

  hold(): void {
    if (this.#isHeld || this.isOver) return
    this.#isHeld = true
    this.#conn.transport.socket?.pause?.()
  }

  release(): void {
    this.#isHeld = false
    // One of them may cause the connection to be held again, or ended.
    for (let run = this.#nextHeld(); run !== undefined; run = this.#nextHeld()) runWithoutThrowing(run)
    this.#resume()
  }

  drop(): void {
    this.#held.length = 0
    this.#isShut = true
  }

  /* bind() may end it at once, when Socket.IO does not know it yet and would wait for a connection that is closed. */
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
  #guardEvents(): void {
    const conn = this.#conn
    const emit: EventEmitter['emit'] = conn.emit.bind(conn)
    const guarded = (event: string | symbol, ...args: unknown[]): boolean => {
      if (!inbound.has(event)) return emit(event, ...args)
      if (this.isOver) return false
      if (!this.#isHeld) return emit(event, ...args)
      this.deliver(() => emit(event, ...args))
      return true
    }
    Object.defineProperty(conn, 'emit', { value: guarded, configurable: true, writable: true })
  }

  #nextHeld(): (() => void) | undefined {
    return this.#isHeld ? undefined : this.#held.shift()
  }

  #resume(): void {
    if (!this.#isHeld) this.#conn.transport.socket?.resume?.()
  }

  get #openWebSocket(): RawWebSocket | undefined {
    const ws = this.#conn.transport.socket
    return ws === undefined || ws.readyState === closed ? undefined : ws
  }
}

/* What a listener throws is uncaught, as it is where nothing was held, and keeps back none of the other messages. */
function runWithoutThrowing(run: () => void): void {
  try {
    run()
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}

/** `readyState` of a WebSocket that is no more. */
const closed = 3
