/*
 * A refusal that a browser's script can read: a 101, and at once a close frame.
 */
import { WebSocketServer, type WebSocket } from 'ws'

import { Drain } from '../internal/drain.js'
import { assertWs } from '../internal/installed-version.js'
import { ignoreErrors } from '../live/connection.js'
import { CloseCode, type Refusal } from '../refusals.js'
import type { ClaimedUpgrade } from './claimed-upgrade.js'
import { leaveErrorsToWs } from './survive-errors.js'

/** How long the client may take to answer the close frame, in ms. */
const graceMs = 1_000

/** Close codes and reasons by status: on the wire, no 401 differs from another. */
const closings: Partial<Record<number, readonly [code: number, reason: string]>> = {
  401: [CloseCode.unauthorized, 'unauthorized'],
  403: [CloseCode.forbidden, 'forbidden'],
  429: [CloseCode.tooManySockets, 'too many sockets'],
  500: [CloseCode.failed, 'failed'],
  503: [CloseCode.unavailable, 'unavailable'],
}

/** Refused sockets that have not closed yet. */
export class CloseRefusals {
  /*
   * It selects the first subprotocol that the client offers, as ws does by itself: a browser that asked for one and gets none
   * reports 1006. The user's `handleProtocols` is for clients that are let in. No extensions, no clients, and a limit on what a
   * refused client may send.
   */
  readonly #server: WebSocketServer
  readonly #closing = new Drain<WebSocket>(graceMs, (ws) => {
    ws.terminate()
  })

  /** @throws {TypeError} for a ws that is too old. */
  constructor() {
    // Before 8.1, `require('ws')` has no such export.
    assertWs("Option `refuseWith`: 'close'", '8.1', typeof WebSocketServer === 'function')
    this.#server = new WebSocketServer({ noServer: true, clientTracking: false, maxPayload: 1_024 })
  }

  /** False if this refusal can only be told by HTTP; nothing has been answered then. */
  refuse({ request, socket, head }: ClaimedUpgrade, { status }: Refusal): boolean {
    const closing = closings[status]
    if (closing === undefined || socket.destroyed) return false
    let isAnswered = false
    this.#server.handleUpgrade(request, socket, head, (ws) => {
      isAnswered = true
      leaveErrorsToWs(socket)
      this.#close(ws, closing)
    })
    return isAnswered
  }

  /** Resolves when none is left. */
  async gone(): Promise<void> {
    await this.#closing.empty()
    this.#closing.dispose()
  }

  #close(ws: WebSocket, [code, reason]: readonly [number, string]): void {
    this.#closing.add(ws)
    ignoreErrors(ws)
    ws.once('close', () => {
      this.#closing.closed(ws)
    })
    ws.close(code, reason)
  }
}
