/*
 * Holds the messages of a WebSocket back, or drops them, so that none reaches a handler at the wrong time.
 *
 * All listeners of a socket hang on `emit`, those of addEventListener and of createWebSocketStream too, so an own `emit` covers
 * them all and costs nothing before it is needed. While messages are held, the socket is paused, so what is held is bounded by
 * what ws had received already.
 */
import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'

import type { WebSocket } from 'ws'

import { endStreamsOf } from './websocket-stream.js'

type Emit = EventEmitter['emit']

/** What keeps messages of a connection from its handlers. Each method may be called again, and none of them throws. */
export interface MessageGate {
  /** From now on, messages are kept back. */
  hold(): void
  /** Delivers what was kept back, in order, and then new messages again. */
  release(): void
  /** Drops what was kept back and every message that is still to come, for good. */
  drop(): void
}

/**
 * The gate of a socket of ws.
 *
 * Invariant: while `held`, nothing is delivered. While `delivering`, new messages line up behind those that were held, and a
 * handler may hold or drop again. Once `dropped`, it stays so. A 'close' never overtakes a message.
 */
export class WebSocketGate implements MessageGate {
  readonly #ws: WebSocket
  readonly #onClose: (code: number) => void
  #state: 'open' | 'held' | 'delivering' | 'dropped' = 'open'
  readonly #messages: unknown[][] = []
  #close: unknown[] | undefined
  /** The socket's own `emit`, if another library has wrapped it. */
  #wrapped: Emit | undefined
  #emit: Emit | undefined
  /** Whether the socket should be paused, as its user has it. */
  #isPausedByUser = false

  /** @param onClose called at once when the socket closes while messages are held: its own event waits for these */
  constructor(ws: WebSocket, onClose: (code: number) => void) {
    this.#ws = ws
    this.#onClose = onClose
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** Whether messages that came are still to be delivered. */
  get isHolding(): boolean {
    return this.#messages.length > 0 && this.#state !== 'dropped'
  }

  hold(): void {
    if (this.#state === 'open') this.#install()
    if (this.#state !== 'dropped') this.#state = 'held'
  }

  release(): void {
    if (this.#state !== 'held') return
    this.#state = 'delivering'
    while (this.#isDelivering()) {
      const message = this.#messages.shift()
      if (message === undefined) return this.#open()
      this.#pass('message', message)
    }
  }

  drop(): void {
    if (this.#state === 'dropped') return
    const wasOpen = this.#state === 'open'
    this.#state = 'dropped'
    this.#messages.length = 0
    if (!wasOpen) this.#uninstall()
    muteMessages(this.#ws)
    this.#passClose()
  }

  #open(): void {
    this.#state = 'open'
    this.#uninstall()
    this.#passClose()
  }

  /* A handler may have changed it, which the compiler cannot see. */
  #isDelivering(): boolean {
    return this.#state === 'delivering'
  }

  #install(): void {
    const ws = this.#ws
    this.#wrapped = ownEmitOf(ws)
    this.#emit = (event, ...args: unknown[]) => this.#onEvent(event, args)
    defineOn(ws, 'emit', this.#emit)
    this.#isPausedByUser = ws.isPaused
    setPaused(ws, true)
    // A caller that wants to read on, for instance a stream, waits for the release.
    defineOn(ws, 'pause', () => (this.#isPausedByUser = true))
    defineOn(ws, 'resume', () => (this.#isPausedByUser = false))
  }

  #uninstall(): void {
    const ws = this.#ws
    // If another library has wrapped it since, it stays below that, and passes everything on.
    if (ownEmitOf(ws) === this.#emit) {
      if (this.#wrapped === undefined) Reflect.deleteProperty(ws, 'emit')
      else defineOn(ws, 'emit', this.#wrapped)
    }
    Reflect.deleteProperty(ws, 'pause')
    Reflect.deleteProperty(ws, 'resume')
    if (!this.#isPausedByUser) setPaused(ws, false)
  }

  #onEvent(event: string | symbol, args: unknown[]): boolean {
    const isHeld = this.#state === 'held' || this.#state === 'delivering'
    if (event === 'message' && isHeld) {
      this.#messages.push(args)
      return true
    }
    if (event === 'message' && this.#state === 'dropped') return false
    if (event === 'close' && this.#messages.length > 0) {
      this.#close = args
      this.#onClose(args[0] as number)
      return true
    }
    return this.#call(event, args)
  }

  #passClose(): void {
    const close = this.#close
    this.#close = undefined
    if (close !== undefined) this.#pass('close', close)
  }

  /* What a handler throws is an uncaught exception, as it is where ws calls the handler itself. */
  #pass(event: string, args: unknown[]): void {
    try {
      this.#call(event, args)
    } catch (error) {
      setImmediate(() => {
        throw error
      })
    }
  }

  #call(event: string | symbol, args: unknown[]): boolean {
    if (this.#wrapped !== undefined) return this.#wrapped.call(this.#ws, event, ...args)
    return (Object.getPrototypeOf(this.#ws) as EventEmitter).emit.call(this.#ws, event, ...args)
  }
}

/**
 * From now on, no message reaches a listener of this socket, and what its streams have buffered is not delivered either.
 *
 * ws delivers what still arrives until the client answers the close frame, the rest of a burst included.
 */
export function muteMessages(ws: WebSocket): void {
  // Another library may have wrapped this socket's `emit`, and goes on hearing all other events.
  const own = ownEmitOf(ws)
  if (own === emitAllButMessages) return
  defineOn(ws, 'emit', own === undefined ? emitAllButMessages : withoutMessages(own))
  endStreamsOf(ws)
}

function withoutMessages(emit: Emit): Emit {
  return function (this: WebSocket, event: string | symbol, ...args: unknown[]) {
    return event !== 'message' && emit.call(this, event, ...args)
  }
}

function emitAllButMessages(this: WebSocket, event: string | symbol, ...args: unknown[]): boolean {
  if (event === 'message') return false
  return (Object.getPrototypeOf(this) as EventEmitter).emit.call(this, event, ...args)
}

/* Servers of express-ws bring ws 7, whose sockets have no `pause`: their raw socket has one. */
function setPaused(ws: WebSocket & { readonly _socket?: Socket | null }, isPaused: boolean): void {
  const pausable = typeof (ws as Partial<WebSocket>).pause === 'function' ? ws : ws._socket
  if (isPaused) pausable?.pause()
  else pausable?.resume()
}

function ownEmitOf(ws: WebSocket): Emit | undefined {
  return Object.getOwnPropertyDescriptor(ws, 'emit')?.value as Emit | undefined
}

function defineOn(ws: WebSocket, name: 'emit' | 'pause' | 'resume', value: unknown): void {
  Object.defineProperty(ws, name, { value, configurable: true, writable: true })
}
