/*
 * The floor's table of contents: sessions with connections, kept true, written, and ended.
 */
import type { WebSocket } from 'ws'

import type { Clock } from '../internal/clock.js'
import { assertKnown } from '../internal/option-checks.js'
import type { LiveStore } from '../store/live-store.js'
import { equalIgnoringExpiry } from '../store/session-equality.js'
import { isThenable } from '../internal/is-thenable.js'
import { CloseCode, type SessionEnd } from '../refusals.js'
import { CheckScheduler } from './check-scheduler.js'
import { AnonymousSockets, type AnonymousConnection } from './anonymous.js'
import type { Authorize } from './authorize.js'
import { Revalidator } from './revalidator.js'
import { assertSendable, type CloseFrame } from './close-frame.js'
import { ClosingConnections } from './closing-connections.js'
import { ignoreErrors, isWebSocket, type BoundConnection } from './connection.js'
import { Context, type FoundSession, type HandshakeInfo } from './session-context.js'
import { endOf, ConnectionCloser } from './connection-closer.js'
import { KeepAlive, type KeepAliveMode } from './keep-alive.js'
import { LiveSession } from './live-session.js'
import { SessionOperations } from './session-operations.js'
import { Registry } from './registry.js'
import type { EventSink } from './event-sink.js'
import { RevalidationSweep } from './revalidation-sweep.js'
import { TimedStore } from './timed-store.js'

/** What the live sessions are made of. */
export interface LiveSessionsDependencies {
  readonly store: LiveStore
  readonly clock: Clock
  readonly reports: EventSink
  readonly authorize: Authorize | undefined
  readonly keepAlive: KeepAliveMode
  readonly revalidateMs: number
  readonly unverifiedMs: number
  readonly storeTimeoutMs: number
  readonly maxSocketsPerSession: number
}

/** The live sessions of one bridge. */
export class LiveSessions {
  readonly registry: Registry
  readonly endings: ConnectionCloser
  readonly operations: SessionOperations
  readonly #options: LiveSessionsDependencies
  readonly #store: TimedStore
  readonly #checks: Revalidator
  readonly #keepAlive: KeepAlive
  readonly #agenda: CheckScheduler
  readonly #closing: ClosingConnections
  readonly #anonymous: AnonymousSockets
  readonly #revalidation: RevalidationSweep
  readonly #onClose: (this: WebSocket, code: number) => void
  readonly #onMessage: (this: WebSocket) => void
  #shuttingDown = false

  constructor(options: LiveSessionsDependencies) {
    const { store, clock, reports, authorize, unverifiedMs } = options
    this.#options = options
    const onStoreFault = (error: unknown): void => {
      reports.fault('live-store', error)
    }
    const access = new TimedStore(store, options.storeTimeoutMs, onStoreFault)
    const registry = new Registry({
      onEnter: ({ sessionID }) => {
        access.watch(sessionID)
        this.#revalidation.entered()
      },
      onLeave: (live) => {
        access.unwatch(live.sessionID)
        this.#revalidation.left()
        this.#agenda.remove(live)
      },
    })
    const closing = new ClosingConnections((error) => {
      reports.fault('bound-connection', error)
    })
    const endings = new ConnectionCloser(registry, closing, reports)
    const checks = new Revalidator({
      store: access,
      registry,
      endings,
      reports,
      authorize,
      unverifiedMs,
      clock,
      timeoutMs: options.storeTimeoutMs,
      schedule: (live) => {
        this.#agenda.schedule(live)
      },
    })
    const keepAlive = new KeepAlive(options.keepAlive, access, checks, clock)
    this.registry = registry
    this.endings = endings
    this.operations = new SessionOperations({ store: access, registry, checks, reports, clock })
    this.#store = access
    this.#checks = checks
    this.#keepAlive = keepAlive
    this.#agenda = new CheckScheduler(unverifiedMs, keepAlive, checks, clock)
    this.#closing = closing
    this.#anonymous = new AnonymousSockets(closing)
    this.#revalidation = new RevalidationSweep(
      options.revalidateMs,
      () => registry.sessions(),
      (live) => {
        checks.check(live)
      },
      clock,
    )
    // One function for all sockets: a closure each would be a few hundred bytes each.
    this.#onClose = function (code) {
      const context = registry.contextOf(this)
      if (context !== undefined) endings.closed(context, code)
    }
    this.#onMessage = function () {
      const source = registry.contextOf(this)?.source
      if (source instanceof LiveSession) keepAlive.activity(source)
    }
    store.onChange(checks.report)
    store.onFault?.(onStoreFault)
  }

  // Before the 101 --------------------------------------------------------------------------------------------------

  /** Open sockets, with a session or without. */
  get openConnections(): number {
    return this.registry.connections + this.#anonymous.size
  }

  hasRoom(sessionID: string): boolean {
    return this.registry.connectionsOf(sessionID) < this.#options.maxSocketsPerSession
  }

  /** Watched from now on, until `release`. */
  hold(sessionID: string): LiveSession {
    return this.registry.hold(sessionID)
  }

  release(live: LiveSession): void {
    this.registry.release(live)
  }

  // After it --------------------------------------------------------------------------------------------------------

  newContext(found: FoundSession, handshake: HandshakeInfo): Context {
    return new Context(this.operations, found, handshake)
  }

  /** Ties a context to its socket, which has just been opened. */
  open(context: Context, live: LiveSession, ws: WebSocket): void {
    ws.on('close', this.#onClose)
    if (this.#keepAlive.listens) ws.on('message', this.#onMessage)
    context.connectTo(ws, true)
    this.#join(context, live)
  }

  /** An open socket without a session: nothing is known of it but that it is open. */
  openAnonymous(ws: WebSocket): void {
    this.#anonymous.add(ws)
  }

  /** Puts off the expiry now, whatever `keepAlive` says. */
  renew(live: LiveSession): void {
    this.#keepAlive.touch(live)
  }

  /** Ends one socket, with a session or without. */
  disconnectSocket(ws: WebSocket, end: SessionEnd): void {
    const context = this.registry.contextOf(ws)
    if (context !== undefined) this.endings.end(context, end)
    this.#anonymous.end(ws, end)
  }

  /** Looks once more: something was reported or read that the handshake has not seen. */
  recheck(live: LiveSession, { snapshot }: FoundSession): void {
    // `authorize` was asked about what the handshake had found.
    if (live.snapshot === undefined || !equalIgnoringExpiry(live.snapshot, snapshot)) live.authorizeRequested += 1
    this.#checks.check(live)
  }

  /** Something was reported from outside. */
  report(sessionID: string | undefined): void {
    this.#checks.report(sessionID)
  }

  /** Ties a context to a connection of any kind. */
  bind(context: Context, connection: BoundConnection | WebSocket): void {
    if (!context.belongsTo(this.operations))
      throw new TypeError('bind: the context must come from authenticate() of this bridge.')
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
    if (this.#shuttingDown) return this.endings.end(context, endOf('shutdown'))
    if (!this.hasRoom(source.sessionID)) return this.endings.end(context, endOf('disconnected'), 'too many sockets')
    const live = this.hold(source.sessionID)
    if (live.snapshot === undefined) Object.assign(live, { stored: source.stored, snapshot: source.snapshot })
    this.#join(context, live)
    this.release(live)
    this.#options.reports.accepted(context, context.ws)
    this.recheck(live, source as FoundSession)
  }

  /** The same without a session. */
  bindAnonymous(connection: AnonymousConnection): void {
    this.#anonymous.bind(connection)
    if (this.#shuttingDown) return this.#anonymous.end(connection, endOf('shutdown'))
    this.#options.reports.accepted(undefined, undefined)
  }

  /** Ends connections, by session ID or by what their contexts say. Returns how many. */
  disconnect(which: string | ((context: Context) => boolean), close: CloseFrame): number {
    assertKnown(close, ['code', 'reason'], 'disconnect: option')
    const { code = CloseCode.disconnected, reason } = close
    assertSendable(code, reason)
    if (typeof which !== 'string' && typeof which !== 'function') {
      throw new TypeError('disconnect: pass a session ID, or a function that says which contexts.')
    }
    const contexts =
      typeof which === 'string'
        ? [...(this.registry.get(which)?.contexts ?? [])]
        : this.registry.contexts().filter((context) => isMeant(which, context))
    this.endings.endAll(contexts, { reason: 'disconnected', code }, reason)
    return contexts.length
  }

  // The end ---------------------------------------------------------------------------------------------------------

  /** Ends every connection, and what is being written is written; then nothing works any more. */
  async close(): Promise<void> {
    this.#shuttingDown = true
    this.endings.endAll(this.registry.contexts(), endOf('shutdown'))
    await this.#anonymous.endAll(endOf('shutdown'))
    await this.endings.gone()
    await this.operations.close()
    this.#revalidation.dispose()
    this.#agenda.dispose()
    this.#closing.dispose()
    this.#checks.dispose()
    this.#store.close()
    await this.#closeStore()
  }

  async #closeStore(): Promise<void> {
    const { store, reports } = this.#options
    try {
      await store.close()
    } catch (error) {
      reports.fault('live-store', error)
    }
  }

  #bindWebSocket(context: Context, ws: WebSocket): void {
    if (this.registry.contextOf(ws) !== undefined || this.#anonymous.has(ws)) {
      throw new TypeError('bind: this bridge has the socket already: by attach(), handleUpgrade() or another bind().')
    }
    ignoreErrors(ws)
    context.connectTo(ws, true)
    ws.on('close', (code) => {
      this.endings.closed(context, code)
    })
    if (this.#keepAlive.listens) ws.on('message', this.#onMessage)
    if (ws.readyState === ws.CLOSED) this.endings.closed(context, noStatus)
  }

  #bindOther(context: Context, connection: BoundConnection): void {
    if (typeof connection.close !== 'function' || typeof connection.onClose !== 'function') {
      throw new TypeError('bind: the connection must be a WebSocket of ws, or have the methods `close` and `onClose`.')
    }
    context.connectTo(connection, false)
    connection.onClose(() => {
      this.endings.closed(context, noStatus)
    })
    if (!this.#keepAlive.listens) return
    connection.onMessage?.(() => {
      if (context.source instanceof LiveSession) this.#keepAlive.activity(context.source)
    })
  }

  #join(context: Context, live: LiveSession): void {
    this.registry.add(live, context)
    this.#keepAlive.connected(live)
    this.#agenda.schedule(live)
  }
}

function isMeant(which: (context: Context) => unknown, context: Context): boolean {
  const answer = which(context)
  if (!isThenable(answer)) return Boolean(answer)
  // An async function's promise is truthy: taken for a yes, it would close everybody's sockets.
  answer.then(undefined, () => undefined)
  throw new TypeError('disconnect: the function must return true or false, at once.')
}

function hasEnded({ ended }: Context): boolean {
  return ended !== undefined
}

/** A closed connection that has no close code of its own (RFC 6455, section 7.4.1). */
const noStatus = 1005
