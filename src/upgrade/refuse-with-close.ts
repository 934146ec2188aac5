/*
 * A refusal that a browser's script can read: a 101, and at once a close frame.
 */
import { WebSocketServer, type WebSocket } from 'ws'

import { CloseCode, type Refusal } from '../refusals.js'
import type { Upgrade } from './raw-upgrade.js'

/** How long the client may take to answer the close frame, in ms. */
const graceMs = 1_000

/** Close codes and reasons by status: the four ways to be refused with 401 look the same here, too. */
const closings: Partial<Record<number, readonly [code: number, reason: string]>> = {
  401: [CloseCode.unauthorized, 'unauthorized'],
  403: [CloseCode.forbidden, 'forbidden'],
  429: [CloseCode.tooManySockets, 'too many sockets'],
  500: [CloseCode.failed, 'failed'],
  503: [CloseCode.unavailable, 'unavailable'],
}

/** Refused sockets that have not closed yet. */
export class CloseRefusals {
  readonly #closing = new Set<WebSocket>()
  #onGone: (() => void) | undefined

  /** False if this refusal can only be told by HTTP, and nothing has been answered. */
  refuse({ request, socket, head }: Upgrade, { status }: Refusal, wss: WebSocketServer): boolean {
    const closing = closings[status]
    if (closing === undefined || socket.destroyed) return false
    let answered = false
    refusingServerFor(wss).handleUpgrade(request, socket, head, (ws) => {
      answered = true
      this.#seeOff(ws, closing)
    })
    return answered
  }

  /** Resolves when none is left. */
  async gone(): Promise<void> {
    if (this.#closing.size === 0) return
    await new Promise<void>((resolve) => (this.#onGone = resolve))
  }

  #seeOff(ws: WebSocket, [code, reason]: readonly [number, string]): void {
    this.#closing.add(ws)
    const cut = setTimeout(() => {
      ws.terminate()
    }, graceMs).unref()
    ws.on('error', ignore).once('close', () => {
      clearTimeout(cut)
      this.#closing.delete(ws)
      if (this.#closing.size === 0) this.#onGone?.()
    })
    ws.close(code, reason)
  }
}

/*
 * The same subprotocol as the wss would select: a browser that asked for one and gets none reports 1006. Nothing else of
 * the wss: no extensions, no clients, and next to nothing that a refused client may send.
 */
const refusingServers = new WeakMap<WebSocketServer, WebSocketServer>()

function refusingServerFor(wss: WebSocketServer): WebSocketServer {
  const existing = refusingServers.get(wss)
  if (existing !== undefined) return existing
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: 1_024,
    handleProtocols(protocols, request) {
      // Asked for each time: graphql-ws sets it on a wss that is there already.
      const { handleProtocols } = wss.options
      return handleProtocols ? handleProtocols(protocols, request) : ([...protocols][0] ?? false)
    },
  })
  refusingServers.set(wss, server)
  return server
}

function ignore(): void {
  // What a refused client does wrong is no fault of anybody here.
}
