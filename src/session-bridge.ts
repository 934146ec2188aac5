/*
 * `createSessionBridge`, the composition root: which part gets what from which.
 */
import { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

import type { WebSocket, WebSocketServer } from 'ws'

import { systemClock, type Clock } from './internal/clock.js'
import { Authenticator, type Verdict } from './authenticate/authenticator.js'
import { cookiePair, createSessionCookie, type SessionCookie } from './authenticate/session-cookie.js'
import { createOriginCheck } from './authenticate/origin.js'
import { BridgeChannel } from './channel/bridge-channel.js'
import type { Everywhere } from './channel/everywhere.js'
import type { Selector } from './channel/selector.js'
import type { AnonymousConnection } from './live/anonymous.js'
import type { BoundConnection } from './live/connection.js'
import { Context, type SessionContext } from './live/session-context.js'
import type { Authorize } from './live/authorize.js'
import { LiveSessions } from './live/live-sessions.js'
import { assertSelector, type ContextSelector } from './live/selector.js'
import type { Mutate } from './live/optimistic-writer.js'
import { resolveOptions, type ResolvedOptions, type SessionBridgeOptions } from './options.js'
import { EventReporter, type SessionBridgeEvents, type SessionBridgeStats } from './event-reporter.js'
import { snapshotOfStored } from './store/normalized-session.js'
import type { SessionSnapshot } from './store/snapshot.js'
import { checkUpgradeTarget, checkMount, type ConnectionListener } from './upgrade/upgrade-target.js'
import { createGuardedStore } from './upgrade/guarded-store.js'
import { BoundedAuthentication } from './upgrade/bounded-authentication.js'
import { PendingUpgrades } from './upgrade/pending-upgrades.js'
import { CookieRenewal } from './upgrade/renewed-cookie.js'
import { CloseRefusals } from './upgrade/refuse-with-close.js'
import { StatusRefusals } from './upgrade/refuse-with-status.js'
import { mountOn, type UpgradeServer } from './upgrade/upgrade-router.js'
import { SocketOpener } from './upgrade/socket-opener.js'
import { UpgradeHandler } from './upgrade/upgrade-handler.js'
import { Verdicts, type AdmissionResult } from './upgrade/verdicts.js'

/** Where on a server an attached ws server listens. */
export interface MountOptions<C = SessionContext> {
  /**
   * Equals the raw pathname as it was sent (RFC 9112, section 3.2), nothing decoded; a RegExp is tested on it. Default: all paths
   * that no other mount takes.
   */
  path?: string | RegExp | undefined
  /** Called just before 'connection', with the same arguments. Default: none, listen for 'connection' on the ws server. */
  onConnection?: ConnectionListener<C> | undefined
  /**
   * One more question for the sockets of this mount, asked after the bridge's own `authorize` and at the same times; both must say
   * yes. Default: none.
   */
  authorize?: Authorize | undefined
}

/** How `disconnect` closes a socket. */
export interface DisconnectOptions {
  /** One that may be sent (RFC 6455, section 7.4): 1000 to 1003, 1007 to 1014, 3000 to 4999. Default 1008. */
  code?: number | undefined
  /** At most 123 bytes in UTF-8. Default 'disconnected'. */
  reason?: string | undefined
}

/**
 * Carries an express-session login over to WebSockets. Made by {@link createSessionBridge}.
 *
 * `C` is what a connection listener gets: `SessionContext | undefined` where anonymous requests are accepted.
 */
export interface SessionBridge<C = SessionContext> extends EventEmitter<SessionBridgeEvents> {
  /**
   * Listens for upgrades on an http(s) server and hands the accepted ones to `wss` (made with `noServer: true`), which
   * emits 'connection' (ws, request, context).
   *
   * Several mounts on one server, of several bridges too, share one listener. The first match in order of attaching wins.
   *
   * Other upgrade listeners keep their paths. An upgrade that no mount takes is left to them, and answered 404 if nobody has written
   * anything within `handshakeTimeoutMs`. What another listener has answered meanwhile is refused as `answered-elsewhere`: nothing is
   * written to its socket.
   *
   * @returns the detach.
   * @throws {TypeError} for a `wss` with a server of its own or with a two-argument `verifyClient`, for a string path that is
   * taken on this server or that no upgrade could match, for an unknown option, and on a closed bridge.
   */
  attach(server: UpgradeServer, wss: WebSocketServer, mount?: MountOptions<C>): () => void
  /**
   * The same for one upgrade, in an upgrade listener or router of your own, which must answer by itself what it does not hand over.
   * Never throws, never rejects: what is not let in is answered.
   */
  handleUpgrade(wss: WebSocketServer, request: IncomingMessage, socket: Duplex, head: Buffer): void
  /**
   * The handshake alone, for any other server: origin, cookie, session, authorize. Never rejects, and leaves the request
   * as it is. It counts as a handshake under way, with the same deadline and limit. It does not follow the socket, so it never
   * refuses as `client-gone`.
   *
   * Given the request of an upgrade, the bridge keeps a reset of its socket from ending the process, and answers 404 if you have
   * not written anything within `handshakeTimeoutMs` after the verdict.
   *
   * The context is what the load found: neither watched nor counted until `bind`.
   */
  authenticate(request: IncomingMessage): Promise<Verdict>
  /**
   * Ties the context of an `authenticate()` to a WebSocket of ws that somebody else has opened: watched from now on, checked
   * at once, ended with its session. It is then as one that this bridge has let in: `context.ws`, `contextOf`, and no message
   * after the end. Call it before anything is awaited in a 'connection' listener.
   *
   * Where `maxSocketsPerSession` leaves no place, it is closed with 1008.
   *
   * @throws {TypeError} for a WebSocket that this bridge has already, and for a context that is bound already, has ended, or is
   * not of this bridge.
   */
  bind(context: SessionContext, ws: WebSocket): void
  /**
   * The same for a connection of any kind, such as server-sent events. Its messages are your own affair: after the end, drop
   * them.
   *
   * @throws {TypeError} for what is no connection, and for a context that is bound already, has ended, or is not of this bridge.
   */
  // eslint-disable-next-line @typescript-eslint/unified-signatures -- one union would take the types from `close: (code) => …`
  bind(context: SessionContext, connection: BoundConnection): void
  /** The context of a socket that this bridge let in, also after its end; undefined for an anonymous or foreign one. */
  contextOf(ws: WebSocket): SessionContext | undefined

  /** The verified session ID in a Cookie header or a request; undefined if it is absent, unsigned or forged. Asks no store. */
  readSessionID(from: string | IncomingMessage): string | undefined
  /**
   * `name=value` as a browser would send it back, signed by the first secret. A credential. Asks no store.
   *
   * @throws {TypeError} for an empty session ID.
   */
  signedCookie(sessionID: string): string
  /**
   * Reads a session by its ID; undefined if there is none.
   *
   * @throws {StoreUnavailableError} (rejects) when the store cannot be read.
   */
  load(sessionID: string): Promise<SessionSnapshot | undefined>
  /**
   * Reads, changes, and writes back only if nobody wrote in between; else again with what is there by then. See
   * {@link SessionContext.update}.
   *
   * @throws {SessionEndedError} (rejects) if there is no such session: it is never made.
   * @throws {StoreUnavailableError} (rejects) when the store fails; the write may have been done all the same.
   * @throws {TypeError} (rejects) if `mutate` returns a thenable.
   */
  update(sessionID: string, mutate: Mutate): Promise<SessionSnapshot>
  /**
   * Signs a session out: it goes, and with it all its sockets on every node. Harmless if there is none.
   *
   * @throws {StoreUnavailableError} (rejects) when the store fails.
   */
  destroy(sessionID: string): Promise<void>
  /**
   * Something may have changed: checks this session, or all of them. Ends nothing by itself. For stores with notifications
   * of their own (LISTEN/NOTIFY, change streams).
   *
   * @throws {TypeError} for an ID that is no string.
   */
  check(sessionID?: string): void

  /**
   * The contexts of this process's open connections with a session, as they are at the call, in no particular order: all of them,
   * those of a session ID, or those of a user. It costs what it yields.
   *
   * @throws {TypeError} for what is neither a session ID nor `{ user }`.
   */
  connections(which?: Selector): Iterable<SessionContext>
  /**
   * Closes connections of this process: those of a session ID, those of a user, or those that the function says yes to. The
   * session stays. `everywhere.disconnect` reaches the other processes, too.
   *
   * @returns how many.
   * @throws {TypeError} for a close code that cannot be sent, a reason over 123 bytes, an unknown option, or a function that returns
   * a promise.
   */
  disconnect(which: ContextSelector, close?: DisconnectOptions): number
  /**
   * Asks `authorize` again about connections of this process, although their sessions have not changed: all of them, or those that
   * are meant. Their messages are held until it has answered, and a no ends them with 4403. For permissions that are kept
   * elsewhere than in the session.
   *
   * @returns how many connections are concerned.
   * @throws {TypeError} for what is no selector, or a function that returns a promise.
   */
  reauthorize(which?: ContextSelector): number
  /**
   * The same on every process on the channel, this one included; without a channel, on this one. At most once: a process that is cut
   * off misses it, and `complete` says so. What must hold forever is data: change the session, or what `authorize` reads.
   */
  readonly everywhere: Everywhere
  /** What is going on now, and what has been counted since the bridge was made. */
  stats(): SessionBridgeStats
  /**
   * No more upgrades (503), the pending ones included; open sockets get 1001; upgrade listeners, store listeners and timers
   * end; `live` and `channel` are closed. The store stays open. Resolves when all is closed, never rejects; harmless a second time.
   */
  close(): Promise<void>
}

/**
 * Makes a bridge between an express-session configuration and WebSockets.
 *
 * @example
 * ```ts
 * const bridge = createSessionBridge({ session: sessionOptions })
 * const wss = new WebSocketServer({ noServer: true })
 * bridge.attach(server, wss, {
 *   path: '/chat',
 *   onConnection(ws, request, context) {
 *     ws.on('message', () => ws.send(`You are ${context.session.user}`))
 *   },
 * })
 * ```
 * @throws {TypeError} that names the option and says what to do.
 */
export function createSessionBridge(
  options: SessionBridgeOptions & { anonymous: 'accept' },
): SessionBridge<SessionContext | undefined>
export function createSessionBridge(options: SessionBridgeOptions): SessionBridge
export function createSessionBridge(options: SessionBridgeOptions): SessionBridge<never> {
  return createBridge(options, systemClock)
}

/** @internal A bridge that has its time from elsewhere. */
export function createBridge(options: SessionBridgeOptions, clock: Clock): SessionBridge<never> {
  return new Bridge(resolveOptions(options), clock)
}

/** @internal What the adapter of a server that makes its connections itself needs besides the public contract. */
export interface AdapterApi {
  isClosed(): boolean
  /** `authenticate()`, with what an upgrade has besides: `request.session`, a renewed cookie, an eye on who leaves. */
  admit(request: IncomingMessage): Promise<AdmissionResult>
  /** Whether a later request of the same connection comes from the same session. */
  recognises(request: IncomingMessage, context: SessionContext): boolean
  /** A request that is somebody else's to answer: if it is an upgrade, its raw socket crashes nothing and is ended in time. */
  watch(request: IncomingMessage): void
  /** `bind()`, for anonymous connections, too. */
  bind(context: SessionContext | undefined, connection: AnonymousConnection): void
  fault(error: unknown): void
}

const adapterApis = new WeakMap<object, AdapterApi>()

/** @internal Undefined for what is no bridge. */
export function adapterApiOf(bridge: object): AdapterApi | undefined {
  return adapterApis.get(bridge)
}

class Bridge extends EventEmitter<SessionBridgeEvents> implements SessionBridge<never> {
  readonly #reporter = new EventReporter(this)
  readonly everywhere: Everywhere
  readonly #refused = new StatusRefusals()
  readonly #refusedByClose: CloseRefusals | undefined
  readonly #detaches = new Set<() => void>()
  readonly #cookie: SessionCookie
  readonly #channel: BridgeChannel
  readonly #sessions: LiveSessions
  readonly #authentication: BoundedAuthentication
  readonly #upgrader: UpgradeHandler
  readonly #verdicts: Verdicts
  #closed: Promise<void> | undefined

  constructor(options: ResolvedOptions, clock: Clock) {
    super({ captureRejections: true })
    const reports = this.#reporter
    const { authorize, anonymous, cookieSetting, maxSocketsPerSession } = options
    const cookie = createSessionCookie(options.cookieName, options.secrets)
    const storeTimeoutMs = Math.min(options.handshakeTimeoutMs, options.unverifiedMs)
    const channel = new BridgeChannel({
      ...options,
      storeTimeoutMs,
      clock,
      onFault: (error) => {
        reports.fault('channel', error)
      },
    })
    const sessions = new LiveSessions({
      store: channel.live,
      expressStore: options.store,
      clock,
      reports,
      authorize,
      keepAlive: options.keepAlive,
      revalidateMs: options.revalidateMs,
      unverifiedMs: options.unverifiedMs,
      storeTimeoutMs,
      maxSocketsPerSession,
      identify: options.identify,
      maxSocketsPerUser: options.maxSocketsPerUser,
      reauthorizeMs: options.reauthorizeMs,
      rolling: options.rolling,
    })
    this.#cookie = cookie
    this.#channel = channel
    this.everywhere = channel.everywhere(this)
    this.#sessions = sessions
    this.#refusedByClose = options.refuseWith === 'close' ? new CloseRefusals() : undefined
    const { handshakeTimeoutMs, rolling, trustProto: trustProxy } = options
    const originDenied = createOriginCheck(options)
    const checks = { originDenied, cookie, cookieSetting, trustProxy }
    const authenticator = new Authenticator({ ...checks, sessions, anonymous, reports })
    const pending = new PendingUpgrades(options.maxPending, handshakeTimeoutMs)
    const authentication = new BoundedAuthentication({ authenticator, pending, reports })
    const renewal = new CookieRenewal({ cookie, rolling, trustProxy }, reports)
    const requestStore = createGuardedStore(options.store, sessions.operations)
    const shared = { authentication, sessions, renewal, requestStore, reports }
    this.#authentication = authentication
    this.#upgrader = new UpgradeHandler({
      ...shared,
      opener: new SocketOpener(shared),
      refused: this.#refused,
      refusedByClose: this.#refusedByClose,
      handshakeTimeoutMs,
    })
    this.#verdicts = new Verdicts({ ...shared, authenticator, unanswered: this.#upgrader.unanswered })
    // Not at once: nobody listens yet.
    if (options.resave) setImmediate(() => reports.fault('session.resave', new Error(resaveFault)))
    adapterApis.set(this, this.#adapterApi())
  }

  attach(server: UpgradeServer, wss: WebSocketServer, mount: MountOptions<never> = {}): () => void {
    if (this.#closed !== undefined) throw new TypeError('attach: the bridge is closed.')
    checkMount(mount)
    const { path, onConnection, authorize } = mount
    const kind = authorize === undefined ? undefined : this.#sessions.createKind(authorize)
    const target = { wss, onConnection, kind }
    checkUpgradeTarget(target)
    this.#channel.join()
    const detach = mountOn(server, { path, target, handler: this.#upgrader })
    this.#detaches.add(detach)
    return () => {
      this.#detaches.delete(detach)
      detach()
    }
  }

  handleUpgrade(wss: WebSocketServer, request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#channel.join()
    void this.#upgrader.handle({ wss }, request, socket, head)
  }

  authenticate(request: IncomingMessage): Promise<Verdict> {
    this.#channel.join()
    return this.#verdicts.authenticate(request)
  }

  bind(context: SessionContext, connection: BoundConnection | WebSocket): void {
    if (!(context instanceof Context))
      throw new TypeError('bind: the context must come from authenticate() of this bridge.')
    this.#sessions.bind(context, connection)
    this.#verdicts.bound(context)
  }

  contextOf(ws: WebSocket): SessionContext | undefined {
    return this.#sessions.registry.contextOf(ws)
  }

  readSessionID(from: string | IncomingMessage): string | undefined {
    const proof = this.#cookie.read(cookieHeaderOf(from))
    return typeof proof === 'string' ? undefined : proof.sessionID
  }

  signedCookie(sessionID: string): string {
    if (sessionID === '') throw new TypeError('signedCookie: an empty session ID is none.')
    return cookiePair(this.#cookie, asSessionID(sessionID))
  }

  async load(sessionID: string): Promise<SessionSnapshot | undefined> {
    const loaded = await this.#sessions.operations.load(asSessionID(sessionID))
    return typeof loaded === 'string' ? undefined : loaded.snapshot
  }

  async update(sessionID: string, mutate: Mutate): Promise<SessionSnapshot> {
    return snapshotOfStored(await this.#sessions.operations.write(asSessionID(sessionID), mutate))
  }

  async destroy(sessionID: string): Promise<void> {
    await this.#sessions.operations.destroyByID(asSessionID(sessionID))
  }

  check(sessionID?: string): void {
    this.#sessions.report(sessionID === undefined ? undefined : asSessionID(sessionID))
  }

  connections(which?: Selector): Iterable<SessionContext> {
    if (which !== undefined) assertSelector(which, 'connections')
    return this.#sessions.select(which, 'connections')
  }

  disconnect(which: ContextSelector, close: DisconnectOptions = {}): number {
    return this.#sessions.disconnect(which, close)
  }

  reauthorize(which?: ContextSelector): number {
    return this.#sessions.reauthorize(which)
  }

  stats(): SessionBridgeStats {
    const { openConnections: sockets, registry, connectedUsers: users } = this.#sessions
    return { pending: this.#authentication.size, sockets, sessions: registry.size, users, ...this.#reporter.counts }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  /* What Node calls where an async listener has rejected, instead of an unhandled rejection. */
  override [EventEmitter.captureRejectionSymbol](error: unknown, ...[event]: unknown[]): void {
    this.#reporter.listenerRejected(event, error)
  }

  #adapterApi(): AdapterApi {
    return {
      isClosed: () => this.#closed !== undefined,
      admit: (request) => {
        this.#channel.join()
        return this.#verdicts.admit(request)
      },
      recognises: (request, context) => this.#verdicts.recognises(request, context),
      watch: (request) => {
        this.#upgrader.unanswered.watch(request)
      },
      bind: (context, connection) => {
        if (context === undefined) this.#sessions.bindAnonymous(connection)
        else this.bind(context, connection)
      },
      fault: (error) => {
        this.#reporter.fault('upgrade', error)
      },
    }
  }

  async #close(): Promise<void> {
    this.#upgrader.shutDown()
    // It can no longer tell anything, and others need not wait for its answers.
    const left = this.#channel.close()
    await this.#sessions.close()
    for (const detach of this.#detaches) detach()
    // Those too who were refused while the sessions were being closed.
    await Promise.all([this.#refused.gone(), this.#refusedByClose?.gone(), left])
  }
}

const resaveFault =
  "Option `session.resave` is on, express-session's default: it saves at the end of each response the session that it loaded at its " +
  'start, and so a request that is under way during a logout brings the session back. Set `resave: false`.'

/* JavaScript hands on `request.headers.cookie` as it is: undefined where there is none. */
function cookieHeaderOf(from: string | IncomingMessage | undefined): string | undefined {
  return typeof from === 'object' ? from.headers.cookie : from
}

function asSessionID(sessionID: unknown): string {
  if (typeof sessionID === 'string') return sessionID
  throw new TypeError('A session ID is a string.')
}
