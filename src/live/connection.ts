/*
 * A connection of any kind, as far as its session is concerned.
 */
import type { WebSocket } from 'ws'

import type { MessageGate } from './message-gate.js'

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

/** What the adapters of this package offer in addition, so that no message reaches a handler while the session is in doubt. */
export interface HoldableConnection extends BoundConnection, MessageGate {}

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

function isFunction(value: unknown): boolean {
  return typeof value === 'function'
}

function ignore(): void {
  // ws closes the socket by itself, and its 'close' event tells the rest.
}
