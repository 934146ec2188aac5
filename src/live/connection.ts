/*
 * A connection of any kind, as far as its session's end is concerned.
 */
import type { EventEmitter } from 'node:events'

import type { WebSocket } from 'ws'

/** A connection that is no `ws` socket: what `bridge.bind` needs to know of it. */
export interface BoundConnection {
  /** Ends it politely, with a close code and a reason of at most 123 bytes. */
  close(code: number, reason: string): void
  /** Cuts it, if it has not closed after a grace of a second. */
  terminate?(): void
  /** Registers a listener of its end, whoever ended it. */
  onClose(listener: () => void): void
  /** Registers a listener of what counts as activity for `keepAlive: 'messages'`. */
  onMessage?(listener: () => void): void
}

/**
 * What the adapters of this package offer in addition, so that no message reaches a handler while the session is in doubt.
 * Each method may be called again, and none of them throws.
 */
export interface HoldableConnection extends BoundConnection {
  /** From now on, messages are kept back in order, and the client is read no further than they fit. */
  hold(): void
  /** Delivers the messages that were kept back, in order, and then new ones again. */
  release(): void
  /** The end: what was kept back is dropped, and no message is ever delivered again. */
  drop(): void
}

/** Whether a connection can hold its messages back. */
export function isHoldable(connection: object): connection is HoldableConnection {
  const { hold, release, drop } = connection as Partial<HoldableConnection>
  return [hold, release, drop].every(isFunction)
}

/**
 * Whether a connection is a socket of ws, whichever copy of the package it comes from: express-ws, Fastify and Nest bring
 * their own.
 */
export function isWebSocket(connection: BoundConnection | WebSocket): connection is WebSocket {
  const { on, terminate, readyState } = connection as Partial<WebSocket>
  return !('onClose' in connection) && [on, terminate].every(isFunction) && typeof readyState === 'number'
}

/** One bad frame on a socket without an 'error' listener is an uncaught exception. */
export function ignoreErrors(ws: WebSocket): void {
  ws.on('error', ignore)
}

/**
 * From now on, no message reaches a listener of this socket.
 *
 * ws delivers what still arrives until the client answers the close frame, the rest of a burst included. All listeners hang
 * on `emit`, those of addEventListener too, so one function in its place is the gate, and costs nothing before.
 */
export function muteMessages(ws: WebSocket): void {
  // Somebody may have wrapped this socket's own `emit`, and goes on hearing the rest.
  const own = Object.getOwnPropertyDescriptor(ws, 'emit')?.value as EventEmitter['emit'] | undefined
  const value = own === undefined ? emitAllButMessages : withoutMessages(own)
  Object.defineProperty(ws, 'emit', { value, configurable: true, writable: true })
}

function withoutMessages(emit: EventEmitter['emit']): EventEmitter['emit'] {
  return function (this: WebSocket, event: string | symbol, ...args: unknown[]) {
    return event !== 'message' && emit.call(this, event, ...args)
  }
}

function emitAllButMessages(this: WebSocket, event: string | symbol, ...args: unknown[]): boolean {
  if (event === 'message') return false
  return (Object.getPrototypeOf(this) as EventEmitter).emit.call(this, event, ...args)
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function'
}

function ignore(): void {
  // ws closes the socket by itself, and its 'close' event tells the rest.
}
