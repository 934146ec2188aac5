/*
 * `attachSocketIO`: a bridge decides who may connect to a Socket.IO server.
 */
import { adapterApiOf } from '../adapter-api.js'
import type { SessionBridge } from '../bridge-contract.js'
import type { SessionContext } from '../live/session-context.js'
import { EngineGuard } from './engine-guard.js'
import { asIoServer, type IoServer } from './internals.js'
import { guardNamespaces } from './namespaces.js'

/**
 * What `socket.data` holds, for the fourth type parameter of Socket.IO's `Server`; add what you keep there yourself.
 *
 * `C` is `SessionContext | undefined` where anonymous requests are accepted.
 *
 * @example
 * ```ts
 * const io = new Server<ClientEvents, ServerEvents, DefaultEventsMap, SocketData & { nickname?: string }>(server)
 * ```
 */
export interface SocketData<C = SessionContext> {
  /**
   * The context of the connection, the same for all its namespaces. Not enumerable, so that no adapter keeps it or sends it
   * anywhere.
   */
  readonly context: C
}

/** A Socket.IO `Server`, whatever its events and data are typed as. */
export interface SocketIOServer {
  /** The main namespace. */
  readonly sockets: object
  /** The namespace of a name. */
  of(name: string): object
  /** Takes the connections of an Engine.IO server. */
  bind(engine: never): unknown
}

const attached = new WeakSet<IoServer>()

/**
 * Lets a bridge decide who may connect to a Socket.IO server (4.6 or a newer 4.x), for both transports and all namespaces.
 *
 * A connection without a session is refused at the handshake; an `allowRequest` of your own is asked after that, and
 * both must say yes. `socket.data.context` is there before your first middleware, and `socket.request.session` as behind
 * express-session. With the session's end the connection is closed, and no event reaches a listener from then on.
 *
 * To be called right after `new Server()`, before or after the server is attached: connections that are open already
 * are closed. Not for uWebSockets.js and WebTransport.
 *
 * @example
 * ```ts
 * const io = new Server<DefaultEventsMap, DefaultEventsMap, DefaultEventsMap, SocketData>(server)
 * attachSocketIO(bridge, io)
 * io.on('connection', (socket) => {
 *   socket.on('whoami', (answer) => answer(socket.data.context.session.user))
 * })
 * ```
 * @throws {TypeError} for what is no bridge, or a closed one; for what is no Socket.IO server, one that is too old, one
 * that runs on uWebSockets.js, or one that has a bridge already.
 */
export function attachSocketIO<C>(bridge: SessionBridge<C>, io: SocketIOServer): void {
  const adapterApi = typeof (bridge as unknown) === 'object' ? adapterApiOf(bridge) : undefined
  if (adapterApi === undefined)
    throw new TypeError('attachSocketIO: the first argument must be made by createSessionBridge.')
  if (adapterApi.isClosed()) throw new TypeError('attachSocketIO: the bridge is closed.')
  const server = asIoServer(io)
  if (attached.has(server)) throw new TypeError('attachSocketIO: this Socket.IO server has a bridge already.')
  const engineGuard = new EngineGuard(adapterApi)
  if (server.engine !== undefined) engineGuard.guard(server.engine)
  attached.add(server)
  guardNamespaces(server, engineGuard.connectionOf, engineGuard.rejectConnection)
  guardLaterEngines(server, engineGuard)
}

/* `io.attach`, `io.listen` and a second http server all come here. */
function guardLaterEngines(server: IoServer, engineGuard: EngineGuard): void {
  const bind = server.bind.bind(server)
  const guarded: IoServer['bind'] = (engine) => {
    engineGuard.guard(engine)
    bind(engine)
    return server
  }
  Object.assign(server, { bind: guarded })
}
