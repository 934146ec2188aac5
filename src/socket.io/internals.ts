/*
 * All that is used of Socket.IO beyond its documented API, in one place: 4.6 to 4.8 agree in it.
 */
import type { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'

/** The `allowRequest` of Engine.IO's options. */
export type AllowRequest = (request: IncomingMessage, answer: AllowRequestAnswer) => unknown
export type AllowRequestAnswer = (message: string | null | undefined, success: boolean) => void

/** Engine.IO's server, `io.engine`. */
export interface Engine extends EventEmitter {
  readonly opts: { allowRequest?: AllowRequest | undefined; readonly cors?: unknown }
  /** The open connections by Engine.IO's session ID. */
  readonly clients: Readonly<Record<string, EngineSocket>>
  /** Not there before Engine.IO 6.5. */
  onWebTransportSession?: (session: { close(): void }) => unknown
  /** Run for every request, in this order; `use` appends. Engine.IO's own, for option `cors`, is the first. */
  readonly middlewares: EngineMiddleware[]
  /** Runs them, then calls back. */
  _applyMiddlewares(request: EngineRequest, response: unknown, callback: (error?: Error) => void): void
}

export type EngineMiddleware = (request: EngineRequest, response: unknown, next: (error?: Error) => void) => void

/** Any request that Engine.IO takes, with its query. */
export interface EngineRequest extends IncomingMessage {
  readonly _query?: Readonly<Record<string, string>>
}

/** Engine.IO's socket, `socket.conn`: one connection, whatever its transport and however many namespaces. */
export interface EngineSocket extends EventEmitter {
  /** The first request; null for WebTransport. */
  readonly request: IncomingMessage | null
  readonly readyState: 'opening' | 'open' | 'closing' | 'closed'
  readonly transport: EngineTransport
  close(discard?: boolean): void
}

/** `socket` is WebSocket's, `shouldClose` is polling's: it waits for the client's next poll to say goodbye. */
export interface EngineTransport {
  readonly name: string
  readonly socket?: RawWebSocket
  readonly shouldClose?: (() => void) | null
}

/** As much of a `ws` socket as other WebSocket engines have, too. */
export interface RawWebSocket {
  readonly readyState: number
  terminate?(): void
  pause?(): void
  resume?(): void
  once(event: 'close', listener: () => void): unknown
}

/** Socket.IO's server. */
export interface IoServer {
  readonly engine?: Engine
  readonly sockets: IoNamespace & EventEmitter
  readonly _nsps: ReadonlyMap<string, IoNamespace>
  bind(engine: Engine): unknown
}

/** A namespace. Every connection to it goes through `_add`; `run` calls the middlewares, `_doConnect` the listeners. */
export interface IoNamespace {
  _add(client: IoClient, auth: Auth | undefined, connected: unknown): Promise<void>
  run(socket: IoSocket, done: unknown): void
  _doConnect(socket: IoSocket, connected: unknown): void
}

export interface IoClient {
  readonly conn: EngineSocket
}

/** What a client sends along when it connects to a namespace; `pid` and `offset` ask for a recovery. */
export type Auth = Readonly<Record<string, unknown>>

export type SocketMiddleware = (event: unknown[], next: (error?: Error) => void) => void

/** A socket of one namespace. */
export interface IoSocket {
  readonly conn: EngineSocket
  readonly recovered?: boolean
  connected: boolean
  data: unknown
  /** The private half of its ID, by which it may be recovered. */
  pid?: string
  use(middleware: SocketMiddleware): unknown
  disconnect(close?: boolean): unknown
  _onpacket(packet: { readonly type: number }): void
  _onclose(reason: string, description?: unknown): unknown
  _cleanup(): void
}

/** @throws {TypeError} for what is no Socket.IO server, or one that is too old. */
export function asIoServer(io: unknown): IoServer {
  const server = io as Partial<IoServer> | null | undefined
  if (typeof server?.bind !== 'function' || typeof server.sockets !== 'object') {
    throw new TypeError('attachSocketIO: the second argument must be a Socket.IO Server, as of `new Server()`.')
  }
  const namespace: Partial<IoNamespace> = server.sockets
  const methods = ['_add', 'run', '_doConnect'] as const
  if (!(server._nsps instanceof Map) || methods.some((method) => typeof namespace[method] !== 'function')) {
    throw new TypeError('attachSocketIO: this version of Socket.IO is not supported. Use 4.6 or a newer 4.x.')
  }
  return server as IoServer
}

/** @throws {TypeError} for an engine that cannot be asked who may connect. */
export function assertEngine(engine: Engine): void {
  const { opts, clients, middlewares, _applyMiddlewares: applyMiddlewares } = engine as Partial<Engine>
  // By what it has, not by its class' name, which a minifier changes: uWebSockets.js makes the WebSockets itself.
  if (typeof opts === 'object' && typeof (engine as { onWebSocket?: unknown }).onWebSocket !== 'function') {
    throw new TypeError('attachSocketIO: uWebSockets.js is not supported. Attach Socket.IO to an http server.')
  }
  if (typeof opts !== 'object' || typeof clients !== 'object' || !Array.isArray(middlewares) || !applyMiddlewares) {
    throw new TypeError(
      'attachSocketIO: this engine is not supported. Use the one that comes with Socket.IO 4.6 or newer.',
    )
  }
}
