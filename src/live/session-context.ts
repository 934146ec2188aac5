/*
 * What a connection knows of its session: the third argument of 'connection'.
 */
import { EventEmitter } from 'node:events'
import type { InspectOptions } from 'node:util'

import type { WebSocket } from 'ws'

import { hashOf } from '../session-hash.js'
import type { StoredSession } from '../store/live-store.js'
import type { SessionSnapshot } from '../store/snapshot.js'
import type { SessionEnd } from '../refusals.js'
import type { Authorize } from './authorize.js'
import type { HandshakeInfo, HandshakeSource } from './handshake-info.js'
import { isHoldable, type BoundConnection } from './connection.js'
import { muteMessages, WebSocketGate, type MessageGate } from './message-gate.js'
import type { Mutate } from './optimistic-writer.js'

export type { HandshakeInfo }

/**
 * The session of one connection. Inspecting or serializing it shows a hash in place of the session ID.
 *
 * What reads or writes the store rejects with {@link StoreUnavailableError} when it cannot, and with
 * {@link SessionEndedError} when the session is gone. After `closed`, `disconnected` and `shutdown` it still works, while
 * the session exists and until `bridge.close()` resolves: a close handler may write "last seen".
 */
export interface SessionContext extends EventEmitter<SessionContextEvents> {
  /** The verified session ID. A credential: keep it out of logs, answers and messages. */
  readonly sessionID: string
  /** The session as it is now: frozen all the way down, replaced when the store's record changes. After the end, the last one. */
  readonly session: SessionSnapshot
  /**
   * The user's ID, as option `identify` says it of the session as it is now; `undefined` without a user, and without `identify`. After
   * the end, the last one.
   */
  readonly user: string | undefined
  /** How the connection ended; `undefined` while it is open. */
  readonly ended: SessionEnd | undefined
  /** Where the connection came from. */
  readonly handshake: HandshakeInfo
  /** The socket, so that one can send to every socket of a user; `undefined` before the 101 and for other kinds of connection. */
  readonly ws: WebSocket | undefined
  /** Aborts when the session ended or the socket closed: hand it to what a handler starts. */
  readonly signal: AbortSignal
  /**
   * Reads the store now; seldom needed, as `session` is kept current.
   *
   * @throws {SessionEndedError} (rejects) if the session is gone.
   * @throws {StoreUnavailableError} (rejects) when the store cannot be read.
   */
  refresh(): Promise<SessionSnapshot>
  /**
   * Reads, changes, and writes back only if the record is unchanged; else again with what is there by then.
   *
   * `mutate` is synchronous and may run several times. If it returns a thenable: TypeError, nothing written. If it throws:
   * that error, nothing written. Never brings a destroyed session back.
   *
   * @throws {SessionEndedError} (rejects) if the session is gone.
   * @throws {StoreUnavailableError} (rejects) when the store fails; the write may have been done all the same.
   */
  update(mutate: Mutate): Promise<SessionSnapshot>
  /**
   * Puts off the expiry now, as an HTTP request does.
   *
   * @throws {SessionEndedError} (rejects) if the session is gone.
   * @throws {StoreUnavailableError} (rejects) when the store fails.
   */
  touch(): Promise<void>
  /**
   * Signs out: the session goes, and with it all its sockets on every node.
   *
   * @throws {SessionEndedError} (rejects) after the end as `destroyed` or `expired`.
   * @throws {StoreUnavailableError} (rejects) when the store fails.
   */
  destroy(): Promise<void>
}

/** The events of a context. A listener that throws, or whose promise rejects, is a `fault` of the bridge. */
export interface SessionContextEvents {
  /** The session's data changed. A moved expiry is no change. */
  change: [session: SessionSnapshot, previous: SessionSnapshot]
  /** Once for every context that was upgraded or bound, also when the client simply closed. */
  end: [end: SessionEnd]
}

/** What a context can do with its session. */
export interface SessionActions {
  refresh(context: Context): Promise<SessionSnapshot>
  update(context: Context, mutate: Mutate): Promise<SessionSnapshot>
  touch(context: Context): Promise<void>
  destroy(context: Context): Promise<void>
  /** An async listener of a context has rejected. */
  listenerRejected(error: unknown): void
}

/** What contexts of one kind have in common: those of a mount, or those of `authenticate()`. */
export interface ContextKind {
  readonly actions: SessionActions
  /** The functions that say whether the session may be connected: the bridge's own, then the mount's. */
  readonly authorizers: readonly Authorize[]
}

/** Where a context has its session from: what a handshake found, then the live session, at the end what that was last. */
export interface SessionSource {
  readonly sessionID: string
  readonly stored: StoredSession | undefined
  /** Undefined only before the first load. */
  readonly snapshot: SessionSnapshot | undefined
  /** Whose session it is; undefined without a user. */
  readonly user?: string | undefined
}

/** A session as a handshake found it, before it is watched, or as it was at the end. */
export interface FoundSession extends SessionSource {
  readonly snapshot: SessionSnapshot
  /** How many sessions this process had seen removed when the load began. */
  readonly removals?: number
  /** How often `reauthorize` had been called when `authorize` was asked about it; undefined: it was not asked. */
  readonly askedAfter?: number | undefined
}

/** What a load found. */
export type Loaded = FoundSession | 'no-session' | 'session-expired'

/*
 * EventEmitter without what its constructor makes: most contexts are never listened to, and its table of listeners is a
 * quarter of a kilobyte. Its methods make the table when a first listener comes, as they do for a class that inherits from it by
 * `util.inherits` and never calls the constructor.
 *
 * Rejections are captured: "last seen" in an async listener of 'end' rejects after a logout, and an app should not have
 * to catch that to keep the process alive.
 */
const LazyEventEmitter = function () {
  // Nothing yet.
} as unknown as typeof EventEmitter
LazyEventEmitter.prototype = Object.assign(new EventEmitter({ captureRejections: true }), { _events: undefined })

/** The context behind the public interface. It holds no request: a Session would, and with it kilobytes for each socket. */
export class Context extends LazyEventEmitter<SessionContextEvents> implements SessionContext {
  /** Its index among the connections of its session. */
  slot = -1

  readonly #kind: ContextKind
  readonly #handshake: HandshakeSource
  #session: SessionSource
  #connection: WebSocket | BoundConnection | undefined
  #isWebSocket = false
  /** Made when messages are held for the first time, and given up when they are released. */
  #gate: MessageGate | undefined
  #ended: SessionEnd | undefined
  #abort: AbortController | undefined

  constructor(kind: ContextKind, found: FoundSession, handshake: HandshakeSource) {
    super()
    this.#kind = kind
    this.#session = found
    this.#handshake = handshake
  }

  get sessionID(): string {
    return this.#session.sessionID
  }

  get session(): SessionSnapshot {
    return this.#session.snapshot as SessionSnapshot
  }

  get user(): string | undefined {
    return this.#session.user
  }

  get handshake(): HandshakeInfo {
    return this.#handshake.info
  }

  get ws(): WebSocket | undefined {
    return this.#isWebSocket ? (this.#connection as WebSocket) : undefined
  }

  get ended(): SessionEnd | undefined {
    return this.#ended
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      if (this.#ended !== undefined) this.#abort.abort()
    }
    return this.#abort.signal
  }

  refresh(): Promise<SessionSnapshot> {
    return this.#kind.actions.refresh(this)
  }

  update(mutate: Mutate): Promise<SessionSnapshot> {
    return this.#kind.actions.update(this, mutate)
  }

  touch(): Promise<void> {
    return this.#kind.actions.touch(this)
  }

  destroy(): Promise<void> {
    return this.#kind.actions.destroy(this)
  }

  /** @internal What Node calls where an async listener has rejected. */
  override [EventEmitter.captureRejectionSymbol](...[error]: unknown[]): void {
    this.#kind.actions.listenerRejected(error)
  }

  /** @internal Where its session comes from. */
  get source(): SessionSource {
    return this.#session
  }

  /** @internal */
  get authorizers(): readonly Authorize[] {
    return this.#kind.authorizers
  }

  /** @internal */
  get connection(): WebSocket | BoundConnection | undefined {
    return this.#connection
  }

  /** @internal */
  belongsTo(actions: SessionActions): boolean {
    return this.#kind.actions === actions
  }

  /** @internal */
  connectTo(connection: WebSocket | BoundConnection, isWebSocket: boolean): void {
    this.#connection = connection
    this.#isWebSocket = isWebSocket
  }

  /** @internal From now on its session is the live one. */
  join(live: SessionSource, slot: number): void {
    this.#session = live
    this.slot = slot
  }

  /**
   * @internal From now on, no message of it reaches a handler until `release`.
   *
   * @param onClose called at once when it closes while messages are held back
   */
  hold(onClose: (context: Context, code: number) => void): void {
    if (this.#gate === undefined) {
      const connection = this.#connection
      if (connection === undefined) return
      if (this.#isWebSocket)
        this.#gate = new WebSocketGate(connection as WebSocket, (code) => {
          onClose(this, code)
        })
      else if (isHoldable(connection)) this.#gate = connection
    }
    this.#gate?.hold()
  }

  /** @internal Messages that were held back are delivered, in order. */
  release(): void {
    this.#gate?.release()
    if (this.#gate instanceof WebSocketGate && this.#gate.isOpen) this.#gate = undefined
  }

  /** @internal Messages that were held back are dropped, and no other ever reaches a handler. */
  drop(): void {
    if (this.#gate !== undefined) this.#gate.drop()
    else if (this.ws !== undefined) muteMessages(this.ws)
    else if (this.#connection !== undefined && isHoldable(this.#connection)) this.#connection.drop()
  }

  /** @internal Whether it has messages that are held back. */
  get isHolding(): boolean {
    return this.#gate instanceof WebSocketGate && this.#gate.isHolding
  }

  /** @internal From now on it is over, and its session stays as it was. */
  markEnded(end: SessionEnd, stored: StoredSession | undefined): void {
    this.#ended = end
    this.#session = { sessionID: this.sessionID, stored, snapshot: this.session, user: this.user }
  }

  /** @internal For one without a live session: what was read of it since. */
  found(stored: StoredSession | undefined, snapshot: SessionSnapshot, user: string | undefined): void {
    this.#session = { sessionID: this.sessionID, stored, snapshot, user }
  }

  /** @internal */
  abort(): void {
    this.#abort?.abort()
  }

  toJSON(): object {
    const { session, handshake, ended } = this
    // A copy: what is read when it is first asked for is shown, too.
    return { sessionHash: hashOf(this.sessionID), session, handshake: { ...handshake }, ended }
  }

  [Symbol.for('nodejs.util.inspect.custom')](
    _depth: number,
    options: InspectOptions,
    inspect: (value: unknown, options: InspectOptions) => string,
  ): string {
    return `SessionContext ${inspect(this.toJSON(), options)}`
  }
}
