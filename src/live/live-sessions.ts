/*
 * The composition root of this layer: sessions with connections, kept true, written, and ended.
 */
import type { Store } from 'express-session'
import type { WebSocket } from 'ws'

import type { Clock } from '../internal/clock.js'
import { assertKnown } from '../internal/option-checks.js'
import { CloseCode, type SessionEnd } from '../refusals.js'
import type { CallReportingLiveStore } from '../store/live-store.js'
import { equalIgnoringExpiry } from '../store/session-equality.js'
import { observeStoreCalls, type StoreCall } from '../store/store-calls.js'
import { AnonymousSockets, type AnonymousConnection } from './anonymous.js'
import type { Authorize } from './authorize.js'
import { CheckScheduler } from './check-scheduler.js'
import { assertSendable, type CloseFrame } from './close-frame.js'
import { ClosingConnections } from './closing-connections.js'
import { ConnectionCloser, endOf } from './connection-closer.js'
import { ignoreErrors, isWebSocket, type BoundConnection } from './connection.js'
import type { EventSink } from './event-sink.js'
import type { HandshakeSource } from './handshake-info.js'
import type { Identify } from './identify.js'
import { KeepAlive } from './keep-alive.js'
import { LiveSession } from './live-session.js'
import { OptimisticWriter } from './optimistic-writer.js'
import { OwnDestroys } from './own-destroys.js'
import { ReauthorizeTimes } from './reauthorize-times.js'
import { Registry, type RegistryListener } from './registry.js'
import { RevalidationSweep } from './revalidation-sweep.js'
import { Revalidator } from './revalidator.js'
import { select, type ContextSelector } from './selector.js'
import { Context, type ContextKind, type FoundSession, type SessionSource } from './session-context.js'
import { SessionHolds } from './session-holds.js'
import { SessionOperations } from './session-operations.js'
import { TimedStore } from './timed-store.js'
import { TouchTimes, type KeepAliveMode } from './touch-times.js'
import { Users } from './users.js'

/** What the live sessions are made of. */
export interface LiveSessionsDependencies {
  readonly store: CallReportingLiveStore
  /** The app's own store, whose `destroy` calls are heard, whatever the LiveStore. */
  readonly expressStore: Store
  readonly clock: Clock
  readonly reports: EventSink
  readonly authorize: Authorize | undefined
  readonly keepAlive: KeepAliveMode
  readonly revalidateMs: number
  readonly unverifiedMs: number
  readonly storeTimeoutMs: number
  readonly maxSocketsPerSession: number
  readonly identify: Identify | undefined
  readonly maxSocketsPerUser: number
  readonly reauthorizeMs: number
  /** Every handshake puts off its session's expiry. */
  readonly rolling: boolean
}

/** The live sessions of one bridge. */
export class LiveSessions implements RegistryListener {
  readonly registry: Registry
  readonly operations: SessionOperations
  readonly ownDestroys: OwnDestroys
  readonly #options: LiveSessionsDependencies
  readonly #store: TimedStore
  readonly #holds: SessionHolds
  readonly #closing: ClosingConnections
  readonly #closer: ConnectionCloser
  readonly #anonymous: AnonymousSockets
  readonly #touchTimes: TouchTimes
  readonly #reauthorizeTimes: ReauthorizeTimes
  readonly #users: Users
  readonly #scheduler: CheckScheduler
  readonly #revalidator: Revalidator
  readonly #sweep: RevalidationSweep
  readonly #keepAlive: KeepAlive
  readonly #writer: OptimisticWriter
  readonly #kind: ContextKind
  readonly #stopObserving: () => void
  readonly #onClose: (this: WebSocket, code: number) => void
  readonly #onMessage: (this: WebSocket) => void
  #shuttingDown = false

  constructor(options: LiveSessionsDependencies) {
    const { clock, reports, authorize, unverifiedMs, storeTimeoutMs: timeoutMs } = options
    this.#options = options
    const store = new TimedStore(options.store, timeoutMs, this.#storeFailed, options.rolling)
    const registry = new Registry(this)
    const closing = new ClosingConnections((error) => {
      reports.fault('bound-connection', error)
    })
    const closer = new ConnectionCloser(registry, closing, reports)
    const holds = new SessionHolds(closer)
    const touchTimes = new TouchTimes(options.keepAlive, clock)
    const reauthorizeTimes = new ReauthorizeTimes(options.reauthorizeMs, clock)
    const users = new Users(options.identify, options.maxSocketsPerUser, reports)
    const scheduler = new CheckScheduler(unverifiedMs, touchTimes, reauthorizeTimes, clock, this.#onDue)
    const revalidator = new Revalidator({ store, registry, scheduler, closer, holds, reports, clock, users, timeoutMs })
    const writer = new OptimisticWriter(store, timeoutMs)
    const ownDestroys = new OwnDestroys({ registry, holds, revalidator, writer, clock, timeoutMs })
    const operations = new SessionOperations({
      store,
      writer,
      registry,
      revalidator,
      ownDestroys,
      reports,
      clock,
      users,
    })
    this.#store = store
    this.registry = registry
    this.#closing = closing
    this.#closer = closer
    this.#anonymous = new AnonymousSockets(closing)
    this.#holds = holds
    this.#touchTimes = touchTimes
    this.#reauthorizeTimes = reauthorizeTimes
    this.#users = users
    this.#scheduler = scheduler
    this.#revalidator = revalidator
    this.#sweep = new RevalidationSweep(options.revalidateMs, registry, revalidator, clock)
    this.#keepAlive = new KeepAlive({ times: touchTimes, store, revalidator, clock, onFault: this.#touchFailed })
    this.#writer = writer
    this.ownDestroys = ownDestroys
    this.operations = operations
    this.#kind = { actions: operations, authorizers: authorize === undefined ? [] : [authorize] }
    // One function for all sockets: a closure each would be a few hundred bytes each.
    this.#onClose = function (code) {
      const context = registry.contextOf(this)
      if (context !== undefined) closer.closed(context, code)
    }
    const keepAlive = this.#keepAlive
    this.#onMessage = function () {
      const source = registry.contextOf(this)?.source
      if (source instanceof LiveSession) keepAlive.activity(source)
    }
    this.#stopObserving = observeStoreCalls(options.expressStore, this.#onDestroyCall)
    options.store.onChange(revalidator.report)
    options.store.onStoreCall?.(this.#onStoreCall, registry.byID)
    options.store.onFault?.(this.#storeFailed)
  }

  // Before the 101 --------------------------------------------------------------------------------------------------

  /** Open sockets, with a session or without. */
  get openConnections(): number {
    return this.registry.connections + this.#anonymous.size
  }

  /** Whether `maxSocketsPerSession` leaves a place for one more handshake. Those under way have one each. */
  hasRoomForHandshake(sessionID: string): boolean {
    if (!this.limitsSockets) return true
    const live = this.registry.get(sessionID)
    return live === undefined || live.size + live.leases < this.#options.maxSocketsPerSession
  }

  /** Whether `maxSocketsPerSession` and `maxSocketsPerUser` leave a place for one more connection. */
  hasRoom({ sessionID, user }: SessionSource): boolean {
    if (!this.#users.hasRoom(user)) return false
    return !this.limitsSockets || (this.registry.get(sessionID)?.size ?? 0) < this.#options.maxSocketsPerSession
  }

  /** How many users have connections. */
  get connectedUsers(): number {
    return this.#users.size
  }

  /** Whether a session can run out of places at all. */
  get limitsSockets(): boolean {
    return this.#options.maxSocketsPerSession < Infinity
  }

  // After it --------------------------------------------------------------------------------------------------------

  /** A kind of context that is asked about by one more function, after the bridge's own. */
  createKind(authorize: Authorize): ContextKind {
    return { ...this.#kind, authorizers: [...this.#kind.authorizers, authorize] }
  }

  newContext(found: FoundSession, handshake: HandshakeSource, kind = this.#kind): Context {
    return new Context(kind, found, handshake)
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
    if (context !== undefined) this.#closer.end(context, end)
    this.#anonymous.end(ws, end)
  }

  /** Looks once more at a session that its handshake has let in, where something was heard of it since the last load. */
  recheck(live: LiveSession, { snapshot }: FoundSession, contexts: readonly Context[] = live.contexts()): void {
    // `authorize` was asked about what the handshake had found.
    if (live.snapshot === undefined || !equalIgnoringExpiry(live.snapshot, snapshot))
      this.#revalidator.changes.ask(live, contexts)
    this.#revalidator.check(live)
  }

  /** Something was reported from outside. */
  report(sessionID: string | undefined): void {
    this.#revalidator.report(sessionID)
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
    if (this.#shuttingDown) return this.#closer.end(context, endOf('shutdown'))
    if (!this.hasRoom(source)) return this.#closer.end(context, endOf('disconnected'), 'too many sockets')
    this.#admit(context, source as FoundSession)
  }

  /** The same without a session. */
  bindAnonymous(connection: AnonymousConnection): void {
    this.#anonymous.bind(connection)
    if (this.#shuttingDown) return this.#anonymous.end(connection, endOf('shutdown'))
    this.#options.reports.accepted(undefined, undefined)
  }

  /** Ends connections. Returns how many. */
  disconnect(which: ContextSelector, close: CloseFrame): number {
    if ((which as unknown) === undefined) throw new TypeError('disconnect: pass a session ID, { user }, or a function.')
    assertKnown(close, ['code', 'reason'], 'disconnect: option')
    const { code = CloseCode.disconnected, reason } = close
    assertSendable(code, reason)
    const contexts = this.select(which, 'disconnect')
    this.#closer.endAll(contexts, { reason: 'disconnected', code }, reason)
    return contexts.length
  }

  /** The open connections that are meant, as they are at the call. */
  select(which: ContextSelector | undefined, method: string): Context[] {
    return select(which, method, this.registry, this.#users)
  }

  /** Asks `authorize` about connections although their sessions have not changed. Returns how many. */
  reauthorize(which: ContextSelector | undefined): number {
    const contexts = this.select(which, 'reauthorize')
    const bySession = new Map<LiveSession, Context[]>()
    for (const context of contexts) {
      const { source } = context
      if (!(source instanceof LiveSession)) continue
      const others = bySession.get(source)
      if (others === undefined) bySession.set(source, [context])
      else others.push(context)
    }
    for (const [live, asked] of bySession) this.#revalidator.changes.ask(live, asked)
    return contexts.length
  }

  // The end ---------------------------------------------------------------------------------------------------------

  /** Ends every connection, and what is being written is written; then nothing works any longer. */
  async close(): Promise<void> {
    this.#shuttingDown = true
    this.#closer.endAll(this.registry.contexts(), endOf('shutdown'))
    for (const live of this.registry.sessions()) this.#closer.dropAllClosed(live)
    await this.#anonymous.endAll(endOf('shutdown'))
    await this.#closer.gone()
    await this.operations.close()
    this.#stopObserving()
    this.#sweep.dispose()
    this.#scheduler.dispose()
    this.#closing.dispose()
    this.#revalidator.dispose()
    this.#writer.dispose()
    this.ownDestroys.dispose()
    this.#store.close()
    await this.#closeStore()
  }

  // What the parts call -----------------------------------------------------------------------------------------------

  sessionEntered(live: LiveSession): void {
    this.#store.watch(live.sessionID)
    this.#sweep.entered()
    this.ownDestroys.entered(live)
  }

  sessionLeft(live: LiveSession): void {
    this.#store.unwatch(live.sessionID)
    this.#sweep.left()
    this.#scheduler.remove(live)
  }

  sessionConnected(live: LiveSession): void {
    this.#users.connected(live)
    this.#reauthorizeTimes.begin(live)
  }

  sessionDisconnected(live: LiveSession): void {
    this.#users.disconnected(live)
  }

  readonly #onDue = (live: LiveSession): void => {
    if (this.#revalidator.endIfOverdue(live)) return
    const asksAgain = this.#reauthorizeTimes.isDue(live)
    if (asksAgain) {
      this.#reauthorizeTimes.begin(live)
      this.#revalidator.changes.ask(live, live.contexts())
    }
    const isPast = !live.expiryUnreliable && live.expiresAt <= this.#options.clock.now()
    const isExpiryDue = isPast && live.failure === undefined
    if (isExpiryDue) this.#holds.needsRead(live)
    this.#keepAlive.tick(live)
    // Nothing was due but the question, and that needs no read.
    if (asksAgain && !isExpiryDue && live.failure === undefined) return this.#scheduler.schedule(live)
    this.#revalidator.check(live)
    // A read may hang: the patience with it ends all the same.
    if (live.failure !== undefined) this.#scheduler.schedule(live)
  }

  readonly #onDestroyCall = (call: StoreCall): void => {
    if (call.method === 'destroy' || call.method === 'clear') this.ownDestroys.observe(call)
  }

  /* What a store has not answered has not happened as far as anybody can know. */
  readonly #onStoreCall = ({ method, sessionID, isAnswered, hasFailed, expiresAt }: StoreCall): void => {
    if (!isAnswered) return
    if (method === 'set') return this.#revalidator.report(sessionID)
    if (method !== 'touch' || hasFailed || sessionID === undefined || expiresAt === undefined) return
    const live = this.registry.get(sessionID)
    if (live !== undefined) this.#revalidator.touched(live, expiresAt)
  }

  /* Touches that are cut off by closing are no faults. */
  readonly #touchFailed = (error: unknown): void => {
    if (!this.#shuttingDown) this.#options.reports.fault('touch', error)
  }

  readonly #storeFailed = (error: unknown): void => {
    this.#options.reports.fault('live-store', error)
  }

  // -------------------------------------------------------------------------------------------------------------------

  async #closeStore(): Promise<void> {
    try {
      await this.#options.store.close()
    } catch (error) {
      this.#storeFailed(error)
    }
  }

  #admit(context: Context, found: FoundSession): void {
    const live = this.registry.lease(found.sessionID)
    const isUnknown = live.snapshot === undefined
    if (isUnknown) Object.assign(live, { stored: found.stored, snapshot: found.snapshot, user: found.user })
    // Nothing was heard of it since it was loaded: messages wait for what the store says now.
    if (isUnknown) this.#holds.needsRead(live)
    this.#join(context, live)
    this.registry.release(live)
    this.#options.reports.accepted(context, context.ws)
    if (this.ownDestroys.wasRemovedSince(found.sessionID, found.removals ?? 0))
      return this.#closer.end(context, endOf('destroyed'))
    this.recheck(live, found, [context])
  }

  #bindWebSocket(context: Context, ws: WebSocket): void {
    if (this.registry.contextOf(ws) !== undefined || this.#anonymous.has(ws)) {
      throw new TypeError('bind: this bridge has the socket already: by attach(), handleUpgrade() or another bind().')
    }
    ignoreErrors(ws)
    context.connectTo(ws, true)
    ws.on('close', (code) => {
      this.#closer.closed(context, code)
    })
    if (this.#keepAlive.listens) ws.on('message', this.#onMessage)
    if (ws.readyState === ws.CLOSED) this.#closer.closed(context, noStatus)
  }

  #bindOther(context: Context, connection: BoundConnection): void {
    if (typeof connection.close !== 'function' || typeof connection.onClose !== 'function') {
      throw new TypeError('bind: the connection must be a WebSocket of ws, or have the methods `close` and `onClose`.')
    }
    context.connectTo(connection, false)
    connection.onClose(() => {
      this.#closer.closed(context, noStatus)
    })
    if (!this.#keepAlive.listens) return
    connection.onMessage?.(() => {
      if (context.source instanceof LiveSession) this.#keepAlive.activity(context.source)
    })
  }

  #join(context: Context, live: LiveSession): void {
    this.registry.add(live, context)
    if (live.snapshot !== undefined) live.announcement?.join(context, live.snapshot)
    this.#holds.joined(live, context)
    this.#touchTimes.connected(live)
    this.#scheduler.schedule(live)
  }
}

function hasEnded({ ended }: Context): boolean {
  return ended !== undefined
}

/** A closed connection that has no close code of its own (RFC 6455, section 7.4.1). */
const noStatus = 1005
