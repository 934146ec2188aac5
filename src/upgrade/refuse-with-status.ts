/*
 * The HTTP answer to a refused upgrade.
 */
import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'

import { Drain } from '../internal/drain.js'
import type { Refusal, RefusalReason } from '../refusals.js'
import { surviveErrors } from './survive-errors.js'
import { webSocketVersion } from './well-formed.js'

/** How long a refused client may take to read its answer and close, in ms. */
const lingerMs = 1_000

/* By reason only where the client can act on it; all 401s share one answer, byte for byte. */
const extraHeaders: Partial<Record<RefusalReason, string>> = {
  'bad-request': `Sec-WebSocket-Version: ${webSocketVersion}\r\n`,
  'too-many-pending': 'Retry-After: 1\r\n',
}

/** Sockets that were refused and have not gone yet. */
export class StatusRefusals {
  readonly #lingering = new Drain<Duplex>(lingerMs, (socket) => socket.destroy())

  /** Answers and sees the socket off: end, drain what still comes, destroy on the client's FIN, forced after a second. */
  refuse(socket: Duplex, refusal: Refusal): void {
    surviveErrors(socket)
    if (refusal.status === 0 || socket.destroyed || !socket.writable) {
      socket.destroy()
      return
    }
    this.#lingering.add(socket)
    socket
      .once('end', () => socket.destroy())
      .once('close', () => {
        this.#lingering.closed(socket)
      })
    socket.end(answerTo(refusal))
    // Destroying with unread bytes resets the connection, and the reset may overtake the answer.
    socket.resume()
  }

  /** Resolves when none is left. */
  async gone(): Promise<void> {
    await this.#lingering.empty()
    this.#lingering.dispose()
  }
}

function answerTo({ reason, status }: Refusal): string {
  const body = `${STATUS_CODES[status] ?? 'Refused'}\n`
  return (
    `HTTP/1.1 ${String(status)} ${STATUS_CODES[status] ?? 'Refused'}\r\n` +
    'Connection: close\r\n' +
    'Cache-Control: no-store\r\n' +
    'Content-Type: text/plain; charset=utf-8\r\n' +
    `Content-Length: ${String(body.length)}\r\n` +
    `${extraHeaders[reason] ?? ''}\r\n${body}`
  )
}
