/*
 * What a bridge offers to the app that has made it.
 */
import type { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

import type { WebSocket, WebSocketServer } from 'ws'

import type { Verdict } from './authenticate/authenticator.js'
import type { Everywhere } from './channel/everywhere.js'
import type { Selector } from './channel/selector.js'
import type { SessionBridgeEvents, SessionBridgeStats } from './event-reporter.js'
import type { Authorize } from './live/authorize.js'
import type { BoundConnection } from './live/connection.js'
import type { Mutate } from './live/optimistic-writer.js'
import type { ContextSelector } from './live/selector.js'
import type { SessionContext } from './live/session-context.js'
import type { SessionSnapshot } from './store/snapshot.js'
import type { UpgradeServer } from './upgrade/upgrade-router.js'
import type { ConnectionListener } from './upgrade/upgrade-target.js'

/** Where on a server an attached ws server listens. */
export interface MountOptions<C = SessionContext> {
  /**
   * Equals the raw pathname as it was sent (RFC 9112, section 3.2), nothing decoded, so other than ASCII is percent-encoded; a
   * RegExp is tested on it. Default: all paths that no other mount takes.
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
 * Carries an express-session login over to WebSockets. Made by `createSessionBridge`.
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
   * Other upgrade listeners keep their paths. An upgrade that no mount takes is left to them, and answered 404 if no listener has written
   * anything within `handshakeTimeoutMs`. What another listener has answered meanwhile is refused as `answered-elsewhere`: nothing is
   * written to its socket.
   *
   * @returns the detach.
   * @throws {TypeError} for a `wss` with a server of its own or with a two-argument `verifyClient`, for a string path that is
   * taken on this server or that no upgrade could match, for what is no object of options or has an unknown one, and on a closed bridge.
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
   * Ties the context of an `authenticate()` to a WebSocket of ws that another server has opened: watched from now on, checked
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
   * @throws {TypeError} for an empty session ID, and where you have emptied the list of secrets.
   */
  signedCookie(sessionID: string): string
  /**
   * Reads a session by its ID; undefined if there is none.
   *
   * @throws {StoreUnavailableError} (rejects) when the store cannot be read.
   */
  load(sessionID: string): Promise<SessionSnapshot | undefined>
  /**
   * Reads, changes, and writes back only if nothing was written in between; else again with what is there by then. See
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
