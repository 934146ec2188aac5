/*
 * The floor's table of contents: sessions with connections, kept true, written, and ended.
 * In: a LiveStore and the options. Out: what the bridge, the upgrade and the contexts ask for.
 */
import type { WebSocket } from 'ws'

import { SessionEndedError, StoreUnavailableError } from '../errors.js'
import { snapshotOfStored } from '../store/clean-session.js'
import type { LiveStore, StoredSession } from '../store/live-store.js'
import { isSameData } from '../store/same-session.js'
import type { SessionSnapshot } from '../store/snapshot.js'
import { CloseCode, type SessionEnd } from '../verdict.js'
import type { Authorize } from './authorize.js'
import { Checks } from './checks.js'
import { assertSendable, type CloseFrame } from './close-frame.js'
import { ClosingConnections, type Closable } from './closing.js'
import { shutGate, type BoundConnection } from './connection.js'
import { Context, type FoundSession, type HandshakeInfo, type SessionActions } from './context.js'
import type { Waiting } from '../store/deadline-queue.js'
import { Deadlines } from './deadlines.js'
import { endOf, Endings } from './endings.js'
import { KeepAlive, type KeepAliveMode } from './keep-alive.js'
import { LiveSession } from './live-session.js'
import { Registry } from './registry.js'
import type { Reports } from './reports.js'
import { Revalidation } from './revalidation.js'
import { StoreAccess } from './store-access.js'
import { Writer, type Mutate } from './writer.js'

/** What the live sessions are made of. */
export interface SessionsOptions {
  readonly store: LiveStore
  readonly reports: Reports
  readonly authorize: Authorize | undefined
  readonly keepAlive: KeepAliveMode
  readonly revalidateMs: number
  readonly unverifiedMs: number
  readonly storeTimeoutMs: number
  readonly maxSocketsPerSession: number
}

/** What a load found. */
export type Loaded = FoundSession | 'no-session' | 'session-expired'

/** The live sessions of one bridge. */
export class Sessions implements SessionActions {
  readonly registry: Registry
  readonly endings: Endings
  readonly #store: StoreAccess
  readonly #liveStore: LiveStore
  readonly #reports: Reports
  readonly #checks: Checks
  readonly #writer: Writer
  readonly #keepAlive: KeepAlive
  readonly #closing: ClosingConnections
  readonly #revalidation: Revalidation
  readonly #anonymous = new Map<WebSocket, AnonymousConnection>()
  readonly #maxSocketsPerSession: number
  readonly #unverifiedMs: number
  readonly #deadlines = new Deadlines<LiveSession>((live) => {
    this.#look(live)
  })
  readonly #onClose: (this: WebSocket, code: number) => void
  readonly #onMessage: (this: WebSocket) => void
  #shuttingDown = false
  #closed = false

  constructor(options: SessionsOptions) {
    const { store, reports, authorize, unverifiedMs } = options
    this.#liveStore = store
    this.#reports = reports
    this.#maxSocketsPerSession = options.maxSocketsPerSession
    this.#unverifiedMs = unverifiedMs
    this.#store = new StoreAccess(store, options.storeTimeoutMs)
    this.#writer = new Writer(this.#store)
    const registry = new Registry({
      onEnter: ({ sessionID }) => {
        store.watch(sessionID)
        this.#revalidation.entered()
      },
      onLeave: (live) => {
        store.unwatch(live.sessionID)
        this.#revalidation.left()
        this.#deadlines.remove(live)
      },
    })
    this.registry = registry
    this.#closing = new ClosingConnections((error) => {
      reports.fault('bound-connection', error)
    })
    this.endings = new Endings(registry, this.#closing, reports)
    this.#checks = new Checks({
      store: this.#store,
      registry,
      endings: this.endings,
      reports,
      authorize,
      unverifiedMs,
      schedule: (live) => {
        this.#schedule(live)
      },
    })
    this.#keepAlive = new KeepAlive(options.keepAlive, this.#store, this.#checks)
    this.#revalidation = new Revalidation(
      options.revalidateMs,
      () => registry.sessions(),
      (live) => {
        this.#checks.check(live)
      },
    )
    // One function for all sockets: a closure each would be a few hundred bytes each.
    const { endings } = this
    this.#onClose = function (code) {
      const context = registry.contextOf(this)
      if (context !== undefined) endings.closed(context, code)
    }
    const keepAlive = this.#keepAlive
    this.#onMessage = function () {
      const source = registry.contextOf(this)?.source
      if (source instanceof LiveSession) keepAlive.activity(source)
    }
    store.onChange(this.#checks.report)
    store.onFault?.((error) => {
      reports.fault('live-store', error)
    })
  }

  // Before the 101 --------------------------------------------------------------------------------------------------

  /** Open sockets, with a session or without. */
  get openConnections(): number {
    return this.registry.connections + this.#anonymous.size
  }

  hasRoom(sessionID: string): boolean {
    return this.registry.connectionsOf(sessionID) < this.#maxSocketsPerSession
  }

  /** Watched from now on, until `release`. */
  hold(sessionID: string): LiveSession {
    return this.registry.hold(sessionID)
  }

  release(live: LiveSession): void {
    this.registry.release(live)
  }

  /** Reads a session for a handshake; with `live`, for all of its connections, too. Rejects with what the store fails with. */
  async loadForHandshake(sessionID: string, live: LiveSession | undefined): Promise<Loaded> {
    return live === undefined
      ? this.#loaded(sessionID, await this.#store.getForHandshake(sessionID))
      : this.#loaded(sessionID, await this.#checks.readForHandshake(live), live)
  }

  // After it --------------------------------------------------------------------------------------------------------

  newContext(found: FoundSession, handshake: HandshakeInfo): Context {
    return new Context(this, found, handshake)
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
    const anonymous = new AnonymousConnection(ws)
    this.#anonymous.set(ws, anonymous)
    ws.once('close', () => {
      this.#anonymous.delete(ws)
      this.#closing.closed(anonymous)
    })
  }

  /** Puts off the expiry now, whatever `keepAlive` says. */
  renew(live: LiveSession): void {
    this.#keepAlive.touch(live)
  }

  /** Ends one socket, with a session or without. */
  disconnectSocket(ws: WebSocket, end: SessionEnd): void {
    const context = this.registry.contextOf(ws)
    if (context !== undefined) this.endings.end(context, end)
    const anonymous = this.#anonymous.get(ws)
    if (anonymous === undefined) return
    shutGate(ws)
    this.#closing.close(anonymous, end)
  }

  /** Looks once more: something was reported or read that the handshake has not seen. */
  recheck(live: LiveSession, { snapshot }: FoundSession): void {
    // `authorize` was asked about what the handshake had found.
    if (live.snapshot === undefined || !isSameData(live.snapshot, snapshot)) live.questions += 1
    this.#checks.check(live)
  }

  /** Something was reported from outside. */
  report(sessionID: string | undefined): void {
    this.#checks.report(sessionID)
  }

  /** Ties a context to a connection of any kind. */
  bind(context: Context, connection: BoundConnection): void {
    if (!context.belongsTo(this)) throw new TypeError('bind: the context must come from authenticate() of this bridge.')
    const { source } = context
    if (source instanceof LiveSession || context.connection !== undefined || hasEnded(context)) {
      throw new TypeError(
        'bind: the context is bound already or has ended. Each connection needs an authenticate() of its own.',
      )
    }
    if (typeof connection.close !== 'function' || typeof connection.onClose !== 'function') {
      throw new TypeError('bind: the connection must have the methods `close` and `onClose`.')
    }
    context.connectTo(connection, false)
    connection.onClose(() => {
      this.endings.closed(context, noStatus)
    })
    // It had closed before it was bound.
    if (hasEnded(context)) return
    if (this.#shuttingDown) return this.endings.end(context, endOf('shutdown'))
    if (!this.hasRoom(source.sessionID)) return this.endings.end(context, endOf('disconnected'), 'too many sockets')
    const live = this.hold(source.sessionID)
    if (live.snapshot === undefined) Object.assign(live, { stored: source.stored, snapshot: source.snapshot })
    this.#join(context, live)
    this.release(live)
    if (this.#keepAlive.listens) {
      connection.onMessage?.(() => {
        if (context.source instanceof LiveSession) this.#keepAlive.activity(context.source)
      })
    }
    this.#reports.accepted(context, undefined)
    this.recheck(live, source as FoundSession)
  }

  // Reading and writing ---------------------------------------------------------------------------------------------

  /** @throws {StoreUnavailableError} (rejects) when the store cannot be read. */
  async load(sessionID: string): Promise<Loaded> {
    this.#assertOpen()
    const live = this.registry.get(sessionID)
    return live === undefined
      ? this.#loaded(sessionID, await this.#store.get(sessionID))
      : this.#loaded(sessionID, await this.#checks.read(live), live)
  }

  async refresh(context: Context): Promise<SessionSnapshot> {
    this.#assertUsable(context)
    const loaded = await this.load(context.sessionID)
    if (typeof loaded === 'string') throw new SessionEndedError()
    this.#keepUp(context, loaded.stored, loaded.snapshot)
    return loaded.snapshot
  }

  async update(context: Context, mutate: Mutate): Promise<SessionSnapshot> {
    this.#assertUsable(context)
    const stored = await this.write(context.sessionID, mutate)
    const snapshot = snapshotOfStored(stored)
    this.#keepUp(context, stored, snapshot)
    return snapshot
  }

  async touch(context: Context): Promise<void> {
    this.#assertUsable(context)
    await this.touchByID(context.sessionID)
  }

  async destroy(context: Context): Promise<void> {
    this.#assertUsable(context)
    await this.destroyByID(context.sessionID)
  }

  /** @throws {SessionEndedError} (rejects) if it is gone. */
  async write(sessionID: string, mutate: Mutate): Promise<StoredSession> {
    this.#assertOpen()
    try {
      const stored = await this.#writer.update(sessionID, mutate, () => this.registry.get(sessionID)?.stored)
      const live = this.registry.get(sessionID)
      if (live !== undefined && stored !== 'gone') this.#checks.written(live, stored)
      if (stored !== 'gone') return stored
    } catch (error) {
      // A write that failed may have been done all the same.
      if (error instanceof StoreUnavailableError) this.#checks.report(sessionID)
      throw error
    }
    this.#gone(sessionID)
    throw new SessionEndedError()
  }

  async touchByID(sessionID: string): Promise<void> {
    this.#assertOpen()
    if ((await this.#store.touch(sessionID)) === 'touched') return
    this.#gone(sessionID)
    throw new SessionEndedError()
  }

  /** Resolves when the session is gone and its connections in this process have ended. */
  async destroyByID(sessionID: string): Promise<void> {
    this.#assertOpen()
    await this.#store.destroy(sessionID)
    this.#gone(sessionID)
  }

  /** Ends connections, by session ID or by what their contexts say. Returns how many. */
  disconnect(
    which: string | ((context: Context) => boolean),
    { code = CloseCode.disconnected, reason }: CloseFrame,
  ): number {
    assertSendable(code, reason)
    if (typeof which !== 'string' && typeof which !== 'function') {
      throw new TypeError('disconnect: pass a session ID, or a function that says which contexts.')
    }
    const contexts =
      typeof which === 'string'
        ? [...(this.registry.get(which)?.contexts ?? [])]
        : this.registry.contexts().filter(which)
    this.endings.endAll(contexts, { reason: 'disconnected', code }, reason)
    return contexts.length
  }

  // The end ---------------------------------------------------------------------------------------------------------

  /** Ends every connection, and what is being written is written; then nothing works any more. */
  async close(): Promise<void> {
    this.#shuttingDown = true
    this.endings.endAll(this.registry.contexts(), endOf('shutdown'))
    for (const ws of this.#anonymous.keys()) this.disconnectSocket(ws, endOf('shutdown'))
    await this.endings.gone()
    await this.#writer.idle()
    this.#closed = true
    this.#revalidation.dispose()
    this.#deadlines.dispose()
    this.#closing.dispose()
    this.#store.close()
    await this.#liveStore.close()
  }

  #join(context: Context, live: LiveSession): void {
    this.registry.add(live, context)
    this.#keepAlive.connected(live)
    this.#schedule(live)
  }

  /* The time to look at a session has come: to touch it, to see whether it has expired, or to try again. */
  #look(live: LiveSession): void {
    this.#keepAlive.tick(live)
    this.#checks.check(live)
  }

  #schedule(live: LiveSession): void {
    if (live.contexts.length > 0)
      this.#deadlines.set(live, Math.min(this.#nextCheckOf(live), this.#keepAlive.dueAt(live)))
  }

  #nextCheckOf(live: LiveSession): number {
    const now = Date.now()
    if (live.failedSince !== undefined) {
      const left = live.failedSince + this.#unverifiedMs - performance.now()
      return now + Math.min(live.pauseMs * (0.5 + Math.random() / 2), Math.max(left, 1))
    }
    if (live.expiresAt > now) return live.expiresAt
    // Some stores keep time in whole seconds, and are late by less than one.
    if (live.expiresAt > now - wholeSecondMs) return live.expiresAt + wholeSecondMs
    // A date that has passed, of a session that the store still has, is stale: revalidation looks after that one.
    return Infinity
  }

  /* What was done to the store by ID has shown that the session is gone. */
  #gone(sessionID: string): void {
    const live = this.registry.get(sessionID)
    if (live !== undefined) this.#checks.gone(live)
  }

  /* A context without a live session shows what was read by itself. */
  #keepUp(context: Context, stored: StoredSession | undefined, snapshot: SessionSnapshot): void {
    if (!(context.source instanceof LiveSession) && context.ended === undefined) context.found(stored, snapshot)
  }

  #loaded(sessionID: string, stored: StoredSession | undefined, live?: LiveSession): Loaded {
    if (stored === undefined) return 'no-session'
    if (stored.expiresAt !== undefined && stored.expiresAt <= Date.now()) return 'session-expired'
    const snapshot = live === undefined ? this.#snapshotOf(stored) : live.snapshot
    return snapshot === undefined ? 'no-session' : { sessionID, stored, snapshot }
  }

  #snapshotOf(stored: StoredSession): SessionSnapshot | undefined {
    try {
      return snapshotOfStored(stored)
    } catch (error) {
      this.#reports.fault('record', error)
      return undefined
    }
  }

  #assertUsable({ ended }: { ended: SessionEnd | undefined }): void {
    if (ended?.reason === 'destroyed' || ended?.reason === 'expired') throw new SessionEndedError()
    this.#assertOpen()
  }

  #assertOpen(): void {
    if (this.#closed) throw new StoreUnavailableError('The bridge is closed.')
  }
}

function hasEnded({ ended }: Context): boolean {
  return ended !== undefined
}

/** An anonymous socket's place among those that are closing. */
class AnonymousConnection implements Closable {
  previous: Waiting | undefined = undefined
  next: Waiting | undefined = undefined
  dueAt = 0
  readonly connection: WebSocket

  constructor(ws: WebSocket) {
    this.connection = ws
  }
}

const wholeSecondMs = 1_000

/** A closed connection that has no close code of its own (RFC 6455, section 7.4.1). */
const noStatus = 1005
