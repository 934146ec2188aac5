/*
 * What a connection knows of its session: the third argument of 'connection'.
 * In: a loaded session and how it came. Out: the session as the handler may read it.
 */
import { createHash } from 'node:crypto'
import { EventEmitter } from 'node:events'
import type { InspectOptions } from 'node:util'

import type { WebSocket } from 'ws'

import type { SessionSnapshot } from '../store/snapshot.js'
import type { SessionEnd } from '../verdict.js'

/** Where a connection came from. Plain data: it keeps neither the request nor the raw socket. */
export interface HandshakeInfo {
  /** The request target as it was sent. */
  readonly url: string
  /** The Origin header. */
  readonly origin: string | undefined
  /** The address at the other end of the TCP connection: a proxy's, behind a proxy. */
  readonly remoteAddress: string | undefined
  /** When the request was judged, in ms since the epoch. */
  readonly at: number
}

/** The session of one connection. Inspecting or serialising it shows a hash in place of the session ID. */
export interface SessionContext extends EventEmitter<SessionContextEvents> {
  /** The verified session ID. A credential: keep it out of logs, answers and messages. */
  readonly sessionID: string
  /** The session's data, frozen all the way down. */
  readonly session: SessionSnapshot
  /** How the connection ended; `undefined` while it is open. */
  readonly ended: SessionEnd | undefined
  /** Where the connection came from. */
  readonly handshake: HandshakeInfo
  /** The socket; `undefined` before the 101. */
  readonly ws: WebSocket | undefined
}

/** The events of a context. */
export interface SessionContextEvents {
  /** Once for every context that was upgraded, also when the client simply closed. */
  end: [end: SessionEnd]
}

/** The context behind the public interface. */
export class Context extends EventEmitter<SessionContextEvents> implements SessionContext {
  readonly #sessionID: string
  readonly #handshake: HandshakeInfo
  #session: SessionSnapshot
  #ws: WebSocket | undefined
  #ended: SessionEnd | undefined

  constructor(sessionID: string, session: SessionSnapshot, handshake: HandshakeInfo) {
    super()
    this.#sessionID = sessionID
    this.#session = session
    this.#handshake = handshake
  }

  get sessionID(): string {
    return this.#sessionID
  }

  get session(): SessionSnapshot {
    return this.#session
  }

  get handshake(): HandshakeInfo {
    return this.#handshake
  }

  get ws(): WebSocket | undefined {
    return this.#ws
  }

  get ended(): SessionEnd | undefined {
    return this.#ended
  }

  /** @internal */
  open(ws: WebSocket): void {
    this.#ws = ws
  }

  /** @internal False if it has ended before. */
  end(end: SessionEnd): boolean {
    if (this.#ended !== undefined) return false
    this.#ended = end
    return true
  }

  toJSON(): object {
    const { session, handshake, ended } = this
    return { session, handshake, ended, sessionHash: hashOf(this.#sessionID) }
  }

  [Symbol.for('nodejs.util.inspect.custom')](
    _depth: number,
    options: InspectOptions,
    inspect: (value: unknown, options: InspectOptions) => string,
  ): string {
    return `SessionContext ${inspect(this.toJSON(), options)}`
  }
}

/** What stands for a session ID wherever it may be read by others: enough to tell two apart, nothing to log in with. */
export function hashOf(sessionID: string): string {
  return createHash('sha256').update(sessionID).digest('hex').slice(0, 12)
}
