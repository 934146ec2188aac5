/*
 * The composition root of this layer: sessions with connections, kept true, written, and ended.
 */
import type { Store } from 'express-session'
import type { WebSocket } from 'ws'

import type { Clock } from '../internal/clock.js'
import { assertOptions } from '../internal/option-checks.js'
import { CloseCode, type SessionEnd } from '../refusals.js'
import type { CallReportingLiveStore } from '../store/live-store.js'
import { observeStoreCalls, type StoreCall } from '../store/store-calls.js'
import { AnonymousSockets } from './anonymous.js'
import type { Authorize } from './authorize.js'
import { CheckScheduler } from './check-scheduler.js'
import { assertSendable, type CloseFrame } from './close-frame.js'
import { ClosingConnections } from './closing-connections.js'
import { ConnectionCloser, endOf } from './connection-closer.js'
import { ConnectionBinder } from './connection-binder.js'
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
import { isSelected, select, type ContextSelector } from './selector.js'
import { Context, type ContextKind, type FoundSession } from './session-context.js'
import { SessionHolds } from './session-holds.js'
import { SocketLimits } from './socket-limits.js'
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
  readonly limits: SocketLimits
  readonly binder: ConnectionBinder
  readonly operations: SessionOperations
  readonly ownDestroys: OwnDestroys
  readonly revalidator: Revalidator
  readonly #options: LiveSessionsDependencies
  readonly #store: TimedStore
  readonly #holds: SessionHolds
  readonly #closing: ClosingConnections
  readonly #closer: ConnectionCloser
  readonly #anonymous: AnonymousSockets
  readonly #reauthorizeTimes: ReauthorizeTimes
  readonly #users: Users
  readonly #scheduler: CheckScheduler
  readonly #sweep: RevalidationSweep
  readonly #keepAlive: KeepAlive
  readonly #writer: OptimisticWriter
  readonly #kind: ContextKind
  readonly #stopObserving: () => void
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
    const writer = new OptimisticWriter(store, timeoutMs, revalidator.report)
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
    this.#reauthorizeTimes = reauthorizeTimes
    this.#users = users
    this.#scheduler = scheduler
    this.revalidator = revalidator
    this.#sweep = new RevalidationSweep(options.revalidateMs, registry, revalidator, clock)
    this.#keepAlive = new KeepAlive({ times: touchTimes, store, revalidator, clock, onFault: this.#touchFailed })
    this.#writer = writer
    this.ownDestroys = ownDestroys
    this.operations = operations
    this.limits = new SocketLimits(options.maxSocketsPerSession, registry, users)
    this.binder = new ConnectionBinder({
      registry,
      anonymous: this.#anonymous,
      limits: this.limits,
      closer,
      holds,
      keepAlive: this.#keepAlive,
      touchTimes,
      scheduler,
      revalidator,
      ownDestroys,
      reports,
    })
    this.#kind = { actions: operations, authorizers: authorize === undefined ? [] : [authorize] }
    this.#stopObserving = observeStoreCalls(options.expressStore, this.#onDestroyCall)
    store.listen(revalidator.report)
    options.store.onStoreCall?.(this.#onStoreCall, registry.byID)
  }

  /** Open sockets, with a session or without. */
  get openConnections(): number {
    return this.registry.connections + this.#anonymous.size
  }

  /** How many users have connections. */
  get connectedUsers(): number {
    return this.#users.size
  }

  /** A kind of context that is asked about by one more function, after the bridge's own. */
  createKind(authorize: Authorize): ContextKind {
    return { ...this.#kind, authorizers: [...this.#kind.authorizers, authorize] }
  }

  /** Whether `authorize` has to be asked about contexts of a kind. */
  asksAbout(kind = this.#kind): boolean {
    return kind.authorizers.length > 0
  }

  newContext(found: FoundSession, handshake: HandshakeSource, kind = this.#kind): Context {
    return new Context(kind, found, handshake)
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

  /** Something was reported from outside. */
  report(sessionID: string | undefined): void {
    this.revalidator.report(sessionID)
  }

  /** Ends connections, and drops what is held back of those that have closed. Returns how many were open. */
  disconnect(which: ContextSelector, close: CloseFrame): number {
    if ((which as unknown) === undefined) throw new TypeError('disconnect: pass a session ID, { user }, or a function.')
    assertOptions(close, ['code', 'reason'], 'disconnect', '{ code: 4000 }')
    const { code = CloseCode.disconnected, reason } = close
    assertSendable(code, reason)
    const contexts = this.select(which, 'disconnect')
    this.#closer.endAll(contexts, { reason: 'disconnected', code }, reason)
    for (const live of this.#closer.holding) if (isSelected(live, which)) this.#closer.dropAllClosed(live)
    return contexts.length
  }

  /** The open connections that are meant, as they are at the call. */
  select(which: ContextSelector | undefined, method: string): Context[] {
    return select(which, method, this.registry, this.#users)
  }

  /** Asks `authorize` about connections although their sessions have not changed. Returns how many. */
  reauthorize(which: ContextSelector | undefined): number {
    const contexts = this.select(which, 'reauthorize')
    // What it has answered about handshakes under way, and for contexts that are not bound yet, no longer counts.
    this.revalidator.changes.reauthorizations += 1
    // Nor what it answers to an older question about messages of a connection that has closed.
    for (const live of this.#closer.holding) this.revalidator.changes.ask(live, [...(live.closedWhileHeld ?? [])])
    const bySession = new Map<LiveSession, Context[]>()
    for (const context of contexts) {
      const { source } = context
      if (!(source instanceof LiveSession)) continue
      const others = bySession.get(source)
      if (others === undefined) bySession.set(source, [context])
      else others.push(context)
    }
    for (const [live, asked] of bySession) this.revalidator.changes.ask(live, asked)
    return contexts.length
  }

  // The end ---------------------------------------------------------------------------------------------------------

  /** Ends every connection, and what is being written is written; then nothing works any longer. */
  async close(): Promise<void> {
    this.#shuttingDown = true
    this.binder.shutDown()
    this.#closer.endAll(this.registry.contexts(), endOf('shutdown'))
    for (const live of this.registry.sessions()) this.#closer.dropAllClosed(live)
    await this.#anonymous.endAll(endOf('shutdown'))
    await this.#closer.gone()
    await this.operations.close()
    this.#stopObserving()
    this.#sweep.dispose()
    this.#scheduler.dispose()
    this.#closing.dispose()
    this.revalidator.dispose()
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
    if (this.revalidator.endIfOverdue(live)) return
    const asksAgain = this.#reauthorizeTimes.isDue(live)
    if (asksAgain) {
      this.#reauthorizeTimes.begin(live)
      this.revalidator.changes.ask(live, live.contexts())
    }
    const isPast = !live.expiryUnreliable && live.expiresAt <= this.#options.clock.now()
    const isExpiryDue = isPast && live.failure === undefined
    if (isExpiryDue) this.#holds.needsRead(live)
    this.#keepAlive.tick(live)
    // Nothing was due but the question, and that needs no read.
    if (asksAgain && !isExpiryDue && live.failure === undefined) return this.#scheduler.schedule(live)
    this.revalidator.check(live)
    // A read may hang: the patience with it ends all the same.
    if (live.failure !== undefined) this.#scheduler.schedule(live)
  }

  readonly #onDestroyCall = (call: StoreCall): void => {
    if (call.method === 'destroy' || call.method === 'clear') this.ownDestroys.observe(call)
  }

  /* What a store has not answered has not happened as far as this process can know. */
  readonly #onStoreCall = ({ method, sessionID, isAnswered, hasFailed, expiresAt }: StoreCall): void => {
    if (!isAnswered) return
    const live = sessionID === undefined ? undefined : this.registry.get(sessionID)
    if (live === undefined) return
    if (method === 'set') return this.#wasSet(live)
    if (method === 'touch' && !hasFailed && expiresAt !== undefined) this.revalidator.touched(live, expiresAt)
  }

  /* `authorize` has permitted what it was before. A store that answers at once has told by then what it is now. */
  #wasSet(live: LiveSession): void {
    const { readsBegun } = live
    this.revalidator.report(live.sessionID)
    if (!live.contexts().some(({ authorizers }) => authorizers.length > 0)) return
    setImmediate(() => {
      if (live.isChecked && !live.hasReadSince(readsBegun)) this.#holds.needsRead(live, readsBegun)
    })
  }

  /* Touches that are cut off by closing are no faults. */
  readonly #touchFailed = (error: unknown): void => {
    if (!this.#shuttingDown) this.#options.reports.fault('touch', error)
  }

  readonly #storeFailed = (error: unknown): void => {
    this.#options.reports.fault('live-store', error)
  }

  async #closeStore(): Promise<void> {
    try {
      await this.#options.store.close()
    } catch (error) {
      this.#storeFailed(error)
    }
  }
}
