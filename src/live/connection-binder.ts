/*
 * Ties contexts to their connections: those that the bridge has opened, and those that the app has opened and hands over.
 */
import type { WebSocket } from 'ws'

import { equalIgnoringExpiry } from '../store/session-equality.js'
import type { AnonymousConnection, AnonymousSockets } from './anonymous.js'
import type { CheckScheduler } from './check-scheduler.js'
import { endOf, type ConnectionCloser } from './connection-closer.js'
import { ignoreErrors, isWebSocket, type BoundConnection } from './connection.js'
import type { EventSink } from './event-sink.js'
import type { KeepAlive } from './keep-alive.js'
import { LiveSession } from './live-session.js'
import type { OwnDestroys } from './own-destroys.js'
import type { Registry } from './registry.js'
import type { Revalidator } from './revalidator.js'
import type { Context, FoundSession, SessionSource } from './session-context.js'
import type { SessionHolds } from './session-holds.js'
import type { SocketLimits } from './socket-limits.js'
import type { TouchTimes } from './touch-times.js'

export interface ConnectionBinderDependencies {
  readonly registry: Registry
  readonly anonymous: AnonymousSockets
  readonly limits: SocketLimits
  readonly closer: ConnectionCloser
  readonly holds: SessionHolds
  readonly keepAlive: KeepAlive
  readonly touchTimes: TouchTimes
  readonly scheduler: CheckScheduler
  readonly revalidator: Revalidator
  readonly ownDestroys: OwnDestroys
  readonly reports: EventSink
}

/** From here on, a connection is counted, watched, and ended with its session. */
export class ConnectionBinder {
  readonly #deps: ConnectionBinderDependencies
  readonly #onClose: (this: WebSocket, code: number) => void
  readonly #onMessage: (this: WebSocket) => void
  #isShuttingDown = false

  constructor(deps: ConnectionBinderDependencies) {
    this.#deps = deps
    const { registry, closer, keepAlive } = deps
    // One function for all sockets: a closure each would be a few hundred bytes each.
    this.#onClose = function (code) {
      const context = registry.contextOf(this)
      if (context !== undefined) closer.closed(context, code)
    }
    this.#onMessage = function () {
      const source = registry.contextOf(this)?.source
      if (source instanceof LiveSession) keepAlive.activity(source)
    }
  }

  /** Ties a context to its socket, which has just been opened. */
  open(context: Context, live: LiveSession, ws: WebSocket): void {
    ws.on('close', this.#onClose)
    if (this.#deps.keepAlive.listens) ws.on('message', this.#onMessage)
    context.connectTo(ws, true)
    this.#join(context, live)
  }

  /** An open socket without a session: nothing is known of it but that it is open. */
  openAnonymous(ws: WebSocket): void {
    this.#deps.anonymous.add(ws)
  }

  /** Looks once more at a session that its handshake has let in, where something was heard of it since the last load. */
  recheck(live: LiveSession, found: FoundSession, context: Context): void {
    const { changes } = this.#deps.revalidator
    const isSame = live.snapshot !== undefined && equalIgnoringExpiry(live.snapshot, found.snapshot)
    // `authorize` was asked about what the handshake had found.
    if (!isSame || this.isToBeAskedAgain(context, found)) changes.ask(live, [context])
    this.#deps.revalidator.check(live)
  }

  /** Whether what `authorize` has said of a context no longer counts: `reauthorize` was called since, or it was not asked about this. */
  isToBeAskedAgain(context: Context, { askedAfter }: FoundSession): boolean {
    return context.authorizers.length > 0 && askedAfter !== this.#deps.revalidator.changes.reauthorizations
  }

  /** Ties a context to a connection of any kind. */
  bind(context: Context, connection: BoundConnection | WebSocket): void {
    const { source } = context
    if (source instanceof LiveSession || context.connection !== undefined || hasEnded(context)) {
      throw new TypeError(
        'bind: the context is bound already or has ended. Each connection needs an authenticate() of its own.',
      )
    }
    if (isWebSocket(connection)) this.#bindWebSocket(context, connection)
    else this.#bindOther(context, connection)
    // It had closed before it was bound.
    if (hasEnded(context)) return
    if (this.#isShuttingDown) return this.#deps.closer.end(context, endOf('shutdown'))
    if (!this.#hasRoom(source)) return this.#deps.closer.end(context, endOf('disconnected'), 'too many sockets')
    this.#admit(context, source as FoundSession)
  }

  /** The same without a session. */
  bindAnonymous(connection: AnonymousConnection): void {
    this.#deps.anonymous.bind(connection)
    if (this.#isShuttingDown) return this.#deps.anonymous.end(connection, endOf('shutdown'))
    this.#deps.reports.accepted(undefined, undefined)
  }

  /** From now on, what is bound is ended at once. */
  shutDown(): void {
    this.#isShuttingDown = true
  }

  /*
   * The session may have become another user's since it was authenticated, or since it was last checked here. Which of the two is newer
   * is unknown, so both users need a place.
   */
  #hasRoom(source: SessionSource): boolean {
    const { limits, registry } = this.#deps
    const live = registry.get(source.sessionID)
    return limits.hasRoom(source) && (live?.snapshot === undefined || limits.hasRoom(live))
  }

  #admit(context: Context, found: FoundSession): void {
    const live = this.#deps.registry.lease(found.sessionID)
    const isUnknown = live.snapshot === undefined
    if (isUnknown) Object.assign(live, { stored: found.stored, snapshot: found.snapshot, user: found.user })
    // Nothing was heard of it since it was loaded: messages wait for what the store says now.
    if (isUnknown) this.#deps.holds.needsRead(live)
    this.#join(context, live)
    this.#deps.registry.release(live)
    this.#deps.reports.accepted(context, context.ws)
    if (this.#deps.ownDestroys.wasRemovedSince(found.sessionID, found.removals ?? 0))
      return this.#deps.closer.end(context, endOf('destroyed'))
    this.recheck(live, found, context)
  }

  #bindWebSocket(context: Context, ws: WebSocket): void {
    if (this.#deps.registry.contextOf(ws) !== undefined || this.#deps.anonymous.has(ws)) {
      throw new TypeError('bind: this bridge has the socket already: by attach(), handleUpgrade() or another bind().')
    }
    ignoreErrors(ws)
    context.connectTo(ws, true)
    ws.on('close', (code) => {
      this.#deps.closer.closed(context, code)
    })
    if (this.#deps.keepAlive.listens) ws.on('message', this.#onMessage)
    if (ws.readyState === ws.CLOSED) this.#deps.closer.closed(context, noStatus)
  }

  #bindOther(context: Context, connection: BoundConnection): void {
    if (typeof connection.close !== 'function' || typeof connection.onClose !== 'function') {
      throw new TypeError('bind: the connection must be a WebSocket of ws, or have the methods `close` and `onClose`.')
    }
    context.connectTo(connection, false)
    connection.onClose(() => {
      this.#deps.closer.closed(context, noStatus)
    })
    if (!this.#deps.keepAlive.listens) return
    connection.onMessage?.(() => {
      if (context.source instanceof LiveSession) this.#deps.keepAlive.activity(context.source)
    })
  }

  #join(context: Context, live: LiveSession): void {
    this.#deps.registry.add(live, context)
    if (live.snapshot !== undefined) live.announcement?.join(context, live.snapshot)
    this.#deps.holds.joined(live, context)
    this.#deps.touchTimes.connected(live)
    this.#deps.scheduler.schedule(live)
  }
}

function hasEnded({ ended }: Context): boolean {
  return ended !== undefined
}

/** A closed connection that has no close code of its own (RFC 6455, section 7.4.1). */
const noStatus = 1005
