/*
 * The table of contents: which stage gets what from which.
 * In: the user's options. Out: the bridge.
 */
import { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

import type { WebSocket, WebSocketServer } from 'ws'

import { Handshake, type Verdict } from './handshake/authenticate.js'
import { cookiePair, createSessionCookie, type SessionCookie } from './handshake/cookie.js'
import { createOriginCheck } from './handshake/origin.js'
import { ClosingSockets } from './live/closing.js'
import type { SessionContext } from './live/context.js'
import { Registry } from './live/registry.js'
import { resolveOptions, type ResolvedOptions, type SessionBridgeOptions } from './options.js'
import { Reporter, type SessionBridgeEvents, type SessionBridgeStats } from './reporter.js'
import { ExpressStore } from './store/express-store.js'
import { snapshotOf, type SessionSnapshot } from './store/snapshot.js'
import { PendingHandshakes } from './upgrade/pending.js'
import { RefusedSockets } from './upgrade/refuse.js'
import { mountOn, type UpgradeServer } from './upgrade/router.js'
import { checkDestination, Upgrader, type ConnectionListener } from './upgrade/upgrade.js'
import { refusalOf } from './verdict.js'

/** Where on a server an attached ws server listens. */
export interface MountOptions {
  /** Equals the raw pathname, nothing decoded; a RegExp is tested on it. Without one, all paths that no other mount takes. */
  path?: string | RegExp | undefined
  /** Called just before 'connection', with the same arguments. */
  onConnection?: ConnectionListener | undefined
}

/** Carries an express-session login over to WebSockets. Made by {@link createSessionBridge}. */
export interface SessionBridge extends EventEmitter<SessionBridgeEvents> {
  /**
   * Listens for upgrades on an http(s) server and hands the accepted ones to `wss` (made with `noServer: true`), which
   * emits 'connection' (ws, request, context).
   *
   * Several mounts on one server, of several bridges too, share one listener; other people's upgrade listeners are left
   * alone. The first match in order of attaching wins.
   *
   * @returns the detach.
   * @throws {TypeError} for a `wss` with a server of its own or with a two-argument `verifyClient`, and for a string path
   * that is taken on this server.
   */
  attach(server: UpgradeServer, wss: WebSocketServer, mount?: MountOptions): () => void
  /**
   * The same for one upgrade, in an upgrade listener or router of your own. Never throws, never rejects: what is not let
   * in has been answered when this is done with it.
   */
  handleUpgrade(wss: WebSocketServer, request: IncomingMessage, socket: Duplex, head: Buffer): void
  /**
   * The handshake alone, for any other server: origin, cookie, session, authorize. Never rejects, and leaves the request
   * as it is. It counts as a handshake under way, with the same deadline and cap.
   */
  authenticate(request: IncomingMessage): Promise<Verdict>
  /** The context of a socket that this bridge let in. */
  contextOf(ws: WebSocket): SessionContext | undefined
  /** The verified session ID in a Cookie header or a request; undefined if it is absent, unsigned or forged. */
  readSessionID(from: string | IncomingMessage): string | undefined
  /**
   * `name=value` as a browser would send it back, signed by the first secret.
   *
   * @throws {TypeError} for an empty session ID.
   */
  signedCookie(sessionID: string): string
  /**
   * Reads a session by its ID; undefined if there is none, or a record that cannot be a session (that is also a `fault`).
   *
   * @throws {StoreUnavailableError} (rejects) when the store cannot be read.
   */
  load(sessionID: string): Promise<SessionSnapshot | undefined>
  /** What is going on now, and what has been counted since the bridge was made. */
  stats(): SessionBridgeStats
  /**
   * No more upgrades (503), the pending ones included; open sockets get 1001; upgrade listeners, store listeners and timers
   * end. The store stays open. Resolves when all is closed; harmless a second time.
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
export function createSessionBridge(options: SessionBridgeOptions): SessionBridge {
  return new Bridge(resolveOptions(options))
}

class Bridge extends EventEmitter<SessionBridgeEvents> implements SessionBridge {
  readonly #reporter = new Reporter(this)
  readonly #registry = new Registry()
  readonly #closing = new ClosingSockets()
  readonly #refused = new RefusedSockets()
  readonly #detaches = new Set<() => void>()
  readonly #cookie: SessionCookie
  readonly #store: ExpressStore
  readonly #handshake: Handshake
  readonly #pending: PendingHandshakes
  readonly #upgrader: Upgrader
  #closed: Promise<void> | undefined

  constructor(options: ResolvedOptions) {
    super()
    this.#cookie = createSessionCookie(options.cookieName, options.secrets)
    this.#store = new ExpressStore(options.store)
    this.#handshake = new Handshake({
      isOriginAllowed: createOriginCheck(options),
      cookie: this.#cookie,
      cookieSetting: options.cookieSetting,
      hasRoom: (sessionID) => this.#registry.connectionsOf(sessionID) < options.maxSocketsPerSession,
      load: (sessionID) => this.#store.get(sessionID),
      authorize: options.authorize,
      reports: this.#reporter,
    })
    this.#pending = new PendingHandshakes(options.maxPending, options.handshakeTimeoutMs)
    this.#upgrader = new Upgrader({
      handshake: this.#handshake,
      pending: this.#pending,
      refused: this.#refused,
      registry: this.#registry,
      closing: this.#closing,
      reports: this.#reporter,
      maxSocketsPerSession: options.maxSocketsPerSession,
    })
  }

  attach(server: UpgradeServer, wss: WebSocketServer, { path, onConnection }: MountOptions = {}): () => void {
    if (this.#closed !== undefined) throw new TypeError('attach: the bridge is closed.')
    const destination = { wss, onConnection }
    checkDestination(destination)
    const detach = mountOn(server, {
      path,
      handle: (upgrade) => {
        this.#upgrader.handle(upgrade, destination)
      },
      refuse: (upgrade, reason) => {
        this.#upgrader.refuse(upgrade, refusalOf(reason))
      },
    })
    this.#detaches.add(detach)
    return () => {
      this.#detaches.delete(detach)
      detach()
    }
  }

  handleUpgrade(wss: WebSocketServer, request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#upgrader.handle({ request, socket, head }, { wss })
  }

  authenticate(request: IncomingMessage): Promise<Verdict> {
    return this.#upgrader.authenticate(request)
  }

  contextOf(ws: WebSocket): SessionContext | undefined {
    return this.#registry.contextOf(ws)
  }

  readSessionID(from: string | IncomingMessage): string | undefined {
    const proof = this.#cookie.read(typeof from === 'string' ? from : from.headers.cookie)
    return typeof proof === 'string' ? undefined : proof.sessionID
  }

  signedCookie(sessionID: string): string {
    if (typeof sessionID !== 'string' || sessionID === '')
      throw new TypeError('signedCookie takes a session ID that is not empty.')
    return cookiePair(this.#cookie, sessionID)
  }

  async load(sessionID: string): Promise<SessionSnapshot | undefined> {
    const stored = await this.#store.get(sessionID)
    if (stored === undefined) return undefined
    try {
      return snapshotOf(stored.record)
    } catch (error) {
      this.#reporter.fault('record', error)
      return undefined
    }
  }

  stats(): SessionBridgeStats {
    const { connections, sessions } = this.#registry
    return { pending: this.#pending.size, sockets: connections, sessions, ...this.#reporter.counts }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#upgrader.shutDown()
    await Promise.all([this.#upgrader.endAll(), this.#refused.gone()])
    for (const detach of this.#detaches) detach()
    this.#closing.dispose()
    this.#store.close()
  }
}
