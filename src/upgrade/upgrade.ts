/*
 * One upgrade from its raw socket to 'connection', or to its refusal.
 * In: a request, its raw socket and the ws server it is meant for. Out: an open WebSocket with its context.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

import type { WebSocket, WebSocketServer } from 'ws'

import type { Admission, Handshake, Verdict } from '../handshake/authenticate.js'
import type { ClosingSockets } from '../live/closing.js'
import { Context, type SessionContext } from '../live/context.js'
import type { Registry } from '../live/registry.js'
import type { Reports } from '../live/reports.js'
import { CloseCode, refusalOf, type Refusal, type RefusalReason, type SessionEnd } from '../verdict.js'
import type { PendingHandshakes } from './pending.js'
import type { RefusedSockets } from './refuse.js'
import { isWellFormedUpgrade } from './well-formed.js'

/** Called just before 'connection' with the same arguments, typed: ws's own types know no third one. */
export type ConnectionListener<C = SessionContext> = (ws: WebSocket, request: IncomingMessage, context: C) => void

/** Where an accepted upgrade goes. */
export interface Destination {
  readonly wss: WebSocketServer
  readonly onConnection?: ConnectionListener | undefined
}

/** One upgrade as Node's 'upgrade' event brings it. */
export interface Upgrade {
  readonly request: IncomingMessage
  readonly socket: Duplex
  readonly head: Buffer
}

/** What an upgrade passes through. */
export interface UpgraderParts {
  readonly handshake: Handshake
  readonly pending: PendingHandshakes
  readonly refused: RefusedSockets
  readonly registry: Registry
  readonly closing: ClosingSockets
  readonly reports: Reports
  readonly maxSocketsPerSession: number
}

/** @throws {TypeError} for a ws server that could not take an upgrade handed to it. */
export function checkDestination({ wss, onConnection }: Destination): void {
  const options = (wss as Partial<WebSocketServer> | undefined)?.options
  if (options?.noServer !== true) {
    throw new TypeError(
      'attach: the WebSocketServer must be made with `noServer: true`; the bridge hands it its sockets.',
    )
  }
  if (asksByCallback(options)) throw new TypeError(`attach: ${callbackMisuse}`)
  if (onConnection !== undefined && typeof onConnection !== 'function') {
    throw new TypeError('attach: `onConnection` must be a function.')
  }
}

const callbackMisuse =
  '`verifyClient` must not take a callback: messages would be lost between its answer and the 101. ' +
  'Use the option `authorize`.'

function asksByCallback({ verifyClient }: WebSocketServer['options']): boolean {
  return typeof verifyClient === 'function' && verifyClient.length === 2
}

/** A socket is handled once, whichever bridge, mount or router it comes to first: ws throws on a second time. */
const taken = new WeakSet<Duplex>()

/* False if somebody has it already. */
function take(socket: Duplex): boolean {
  if (taken.has(socket)) return false
  taken.add(socket)
  return true
}

export class Upgrader {
  readonly #parts: UpgraderParts
  #shuttingDown = false

  constructor(parts: UpgraderParts) {
    this.#parts = parts
  }

  /** Refuses every upgrade from now on, the pending ones included. */
  shutDown(): void {
    this.#shuttingDown = true
    this.#parts.pending.close()
  }

  /** Never throws. */
  handle(upgrade: Upgrade, destination: Destination): void {
    const { request, socket } = upgrade
    if (!take(socket)) return
    if (!isWellFormedUpgrade(request)) return this.#refuse(upgrade, refusalOf('bad-request'))
    if (!this.#isServedBy(destination.wss, request)) return this.#refuse(upgrade, refusalOf('not-found'))
    if (asksByCallback(destination.wss.options)) return this.#refuseMisuse(upgrade)
    this.#judge(request, socket, (judged) => {
      if ('reason' in judged) this.#refuse(upgrade, judged)
      else this.#accept(upgrade, destination, judged)
    })
  }

  /** The handshake alone, with the same cap and deadline. Never rejects. */
  authenticate(request: IncomingMessage): Promise<Verdict> {
    return new Promise((resolve) => {
      this.#judge(request, undefined, (judged) => {
        if ('reason' in judged) {
          this.#parts.reports.refused(judged, request)
          resolve({ accepted: false, refusal: judged })
        } else {
          resolve({ accepted: true, context: new Context(judged.sessionID, judged.session, judged.handshake) })
        }
      })
    })
  }

  /* `done` is called exactly once: by the handshake's own answer, or by what comes before it. */
  #judge(request: IncomingMessage, socket: Duplex | undefined, done: (judged: Admission | Refusal) => void): void {
    const { handshake, pending } = this.#parts
    if (this.#shuttingDown) return done(refusalOf('shutting-down'))
    const place = pending.open((why) => {
      done(refusalOf(why))
    }, socket)
    if (place === undefined) return done(refusalOf('too-many-pending'))
    void handshake.judge(request).then((judged) => {
      if (place.settle()) done(judged)
    })
  }

  /** Refuses an upgrade that has no destination. */
  refuse(upgrade: Upgrade, refusal: Refusal): void {
    if (take(upgrade.socket)) this.#refuse(upgrade, refusal)
  }

  /* Answers, counts and tells. */
  #refuse({ request, socket }: Upgrade, refusal: Refusal): void {
    this.#parts.refused.refuse(socket, refusal)
    this.#parts.reports.refused(refusal, request)
  }

  /* attach() throws for it; handleUpgrade() never throws. */
  #refuseMisuse(upgrade: Upgrade): void {
    const error = new TypeError(`handleUpgrade: ${callbackMisuse}`)
    this.#parts.reports.fault('upgrade', error)
    this.#refuse(upgrade, refusalOf('authorize-failed', error))
  }

  /* From here to 'connection' everything is synchronous, so that no message comes before its listener. */
  #accept(upgrade: Upgrade, destination: Destination, { sessionID, session, handshake }: Admission): void {
    const { registry, maxSocketsPerSession } = this.#parts
    if (!isOpen(upgrade.socket)) return this.#refuse(upgrade, refusalOf('client-gone'))
    if (registry.connectionsOf(sessionID) >= maxSocketsPerSession) {
      return this.#refuse(upgrade, refusalOf('too-many-sockets'))
    }
    const context = new Context(sessionID, session, handshake)
    try {
      destination.wss.handleUpgrade(upgrade.request, upgrade.socket, upgrade.head, (ws) => {
        this.#connect(ws, upgrade.request, context, destination)
      })
    } catch (error) {
      // A user's handleProtocols, verifyClient or 'headers' listener threw.
      this.#parts.reports.fault('upgrade', error)
      if (context.ws === undefined) this.#refuse(upgrade, refusalOf('authorize-failed'))
      return
    }
    // ws has refused by itself, and answered: its verifyClient said no, an extension was malformed, or it is closing.
    if (context.ws === undefined) {
      this.#parts.reports.refused(refusalOf(reasonOf(destination.wss)), upgrade.request)
    }
  }

  #connect(ws: WebSocket, request: IncomingMessage, context: Context, { wss, onConnection }: Destination): void {
    const { registry, reports } = this.#parts
    // One bad frame on a socket without an 'error' listener is an uncaught exception.
    ws.on('error', ignore)
    ws.once('close', (code) => {
      this.#end(context, { reason: 'closed', code })
    })
    registry.add(context, ws)
    reports.accepted(context, ws)
    try {
      onConnection?.(ws, request, context)
      wss.emit('connection', ws, request, context)
    } catch (error) {
      reports.fault('connection-listener', error)
      this.#end(context, { reason: 'disconnected', code: CloseCode.failed })
    }
  }

  /** Ends every open socket as `shutdown`; resolves when all have gone. */
  async endAll(): Promise<void> {
    const { registry, closing } = this.#parts
    for (const context of registry.contexts()) this.#end(context, { reason: 'shutdown', code: CloseCode.shutdown })
    await closing.gone()
  }

  #end(context: Context, end: SessionEnd): void {
    const { registry, closing, reports } = this.#parts
    if (!registry.end(context, end)) return
    if (context.ws !== undefined && end.reason !== 'closed') closing.close(context.ws, end)
    reports.ended(context, end)
  }

  /* ws asks for its own `path` only after everything was loaded, and answers 400. */
  #isServedBy(wss: WebSocketServer, request: IncomingMessage): boolean {
    try {
      return Boolean(wss.shouldHandle(request))
    } catch (error) {
      this.#parts.reports.fault('upgrade', error)
      return false
    }
  }
}

/*
 * A FIN with unread bytes before it gives no event, and leaves the socket readable and writable. ws, too, looks at the
 * stream's own state for want of a public name for «the other end has finished».
 */
function isOpen(socket: Duplex & { _readableState?: { ended?: boolean } }): boolean {
  return socket.readable && socket.writable && !socket.destroyed && socket._readableState?.ended !== true
}

/* Why ws has refused by itself. It has no public name for «closing», where it answers 503. */
function reasonOf({ options, _state = 0 }: WebSocketServer & { _state?: number }): RefusalReason {
  if (_state > 0) return 'shutting-down'
  return options.verifyClient ? 'forbidden' : 'bad-request'
}

function ignore(): void {
  // ws closes the socket by itself, and its 'close' event tells the rest.
}
