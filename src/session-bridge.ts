/*
 * `createSessionBridge`, the composition root: which part gets what from which.
 */
import { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

import type { WebSocket, WebSocketServer } from 'ws'

import { provideAdapterApi, type AdapterApi } from './adapter-api.js'
import { Authenticator, type Verdict } from './authenticate/authenticator.js'
import { cookiePair, createSessionCookie, type SessionCookie } from './authenticate/session-cookie.js'
import { createOriginCheck } from './authenticate/origin.js'
import type { DisconnectOptions, MountOptions, SessionBridge } from './bridge-contract.js'
import { BridgeChannel } from './channel/bridge-channel.js'
import type { Everywhere } from './channel/everywhere.js'
import { assertSelector, type Selector } from './channel/selector.js'
import { systemClock, type Clock } from './internal/clock.js'
import type { BoundConnection } from './live/connection.js'
import { Context, type SessionContext } from './live/session-context.js'
import { LiveSessions } from './live/live-sessions.js'
import type { ContextSelector } from './live/selector.js'
import type { Mutate } from './live/optimistic-writer.js'
import { resolveOptions, type ResolvedOptions, type SessionBridgeOptions } from './options.js'
import { EventReporter, type SessionBridgeEvents, type SessionBridgeStats } from './event-reporter.js'
import { snapshotOfStored } from './store/normalized-session.js'
import type { SessionSnapshot } from './store/snapshot.js'
import { checkUpgradeTarget, checkMount } from './upgrade/upgrade-target.js'
import { createGuardedStore } from './upgrade/guarded-store.js'
import { BoundedAuthentication } from './upgrade/bounded-authentication.js'
import { PendingUpgrades } from './upgrade/pending-upgrades.js'
import { CookieRenewal } from './upgrade/renewed-cookie.js'
import { CloseRefusals } from './upgrade/refuse-with-close.js'
import { StatusRefusals } from './upgrade/refuse-with-status.js'
import { mountOn, type UpgradeServer } from './upgrade/upgrade-router.js'
import { SocketOpener } from './upgrade/socket-opener.js'
import { UpgradeHandler } from './upgrade/upgrade-handler.js'
import { Verdicts } from './upgrade/verdicts.js'

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
    // Not at once: there is no listener yet.
    if (options.resave) setImmediate(() => reports.fault('session.resave', new Error(resaveFault)))
    provideAdapterApi(this, this.#adapterApi())
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
    if (!(context instanceof Context) || !context.belongsTo(this.#sessions.operations))
      throw new TypeError('bind: the context must come from authenticate() of this bridge.')
    this.#sessions.binder.bind(context, connection)
    this.#verdicts.bound(context)
  }

  contextOf(ws: WebSocket): SessionContext | undefined {
    return this.#sessions.registry.contextOf(ws)
  }

  readSessionID(from: string | IncomingMessage): string | undefined {
    const header = cookieHeaderOf(from)
    try {
      const proof = this.#cookie.read(header)
      return typeof proof === 'string' ? undefined : proof.sessionID
    } catch (error) {
      this.#reporter.fault('session.secret', error)
      return undefined
    }
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
      recognizes: (request, context) => this.#verdicts.recognizes(request, context),
      watch: (request) => {
        this.#upgrader.unanswered.watch(request)
      },
      bind: (context, connection) => {
        if (context === undefined) this.#sessions.binder.bindAnonymous(connection)
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
