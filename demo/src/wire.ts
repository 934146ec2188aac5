/*
 * Messages on a socket.
 */
import type { RawData } from 'ws'
import type { SessionContext } from 'ws-session-bridge'

import type { ToMonitor, ToRoom } from './messages.js'

export function send({ ws }: SessionContext, message: ToRoom | ToMonitor): void {
  ws?.send(JSON.stringify(message))
}

/** ws gives a Buffer, unless `ws.binaryType` says otherwise. */
export function textOf(data: RawData): string {
  return Buffer.isBuffer(data) ? data.toString() : ''
}
