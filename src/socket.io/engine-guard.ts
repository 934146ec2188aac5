/*
 * Decides who may connect to a Socket.IO server, and whether a later request belongs to its connection.
 */
import { STATUS_CODES, type IncomingMessage } from 'node:http'

import type { AdapterApi } from '../adapter-api.js'
import type { SessionContext } from '../live/session-context.js'
import type { Refusal } from '../refusals.js'
import { Connection } from './connection.js'
import {
  assertEngine,
  type AllowRequest,
  type AllowRequestAnswer,
  type Engine,
  type EngineRequest,
  type EngineSocket,
} from './internals.js'

/** A first request that was let in. */
interface Admitted {
  readonly context: SessionContext | undefined
  readonly setCookie: string | undefined
}

/** Lets connections in, for one Socket.IO server and all of its engines. */
export class EngineGuard {
  readonly #bridge: AdapterApi
  readonly #engines = new WeakSet<Engine>()
  /** First requests, and what the bridge says of them. */
  readonly #admissions = new WeakMap<IncomingMessage, Admitted | Refusal>()
  /** What each request goes on with once Engine.IO's middlewares have run. */
  readonly #afterMiddlewares = new WeakMap<IncomingMessage, (error?: Error) => void>()
  readonly #connections = new WeakMap<EngineSocket, Connection>()

  constructor(bridge: AdapterApi) {
    this.#bridge = bridge
  }

  readonly connectionOf = (conn: EngineSocket): Connection | undefined => this.#connections.get(conn)

  /** Closes a connection that the bridge has not let in. */
  readonly rejectConnection = (conn: EngineSocket): void => {
    this.#bridge.fault(
      new Error(
        'A Socket.IO connection that the bridge has not let in was closed: it was there before attachSocketIO, it came by ' +
          "WebTransport (which sends no cookie), or the engine's `allowRequest` was replaced after attachSocketIO.",
      ),
    )
    // Socket.IO has to hear of the connection first, or it would wait for one that is closed.
    queueMicrotask(() => conn.close(true))
  }

  /**
   * Guards an engine.
   *
   * @throws {TypeError} for an engine that is not supported.
   */
  guard(engine: Engine): void {
    assertEngine(engine)
    if (this.#engines.has(engine)) return
    this.#engines.add(engine)
    this.#guardRequests(engine)
    // It asks no `allowRequest` and sends no cookie, not even where it takes a connection over from polling.
    engine.onWebTransportSession = (session) => session.close()
    engine.prependListener('connection', (conn: EngineSocket) => this.#connected(conn))
    engine.on('initial_headers', (headers: Headers, request: EngineRequest) => this.#addCookie(headers, request))
    for (const conn of Object.values(engine.clients)) this.rejectConnection(conn)
  }

  /*
   * The bridge's middleware comes before the user's, who find `request.session`; only Engine.IO's own `cors` comes first, since a
   * page has to be able to read a refusal.
   */
  #guardRequests(engine: Engine): void {
    const { opts } = engine
    const asked = opts.allowRequest
    opts.allowRequest = (request, answer) => {
      void this.#allow(request, asked?.bind(opts), answer)
    }
    const applyMiddlewares = engine._applyMiddlewares.bind(engine)
    engine._applyMiddlewares = (request, response, callback) => {
      this.#bridge.watch(request)
      this.#afterMiddlewares.set(request, callback)
      applyMiddlewares(request, response, callback)
    }
    engine.middlewares.splice(opts.cors ? 1 : 0, 0, (request, _response, next) => {
      void this.#pass(engine, request, next)
    })
  }

  /*
   * A later request names its connection by Engine.IO's session ID in the URL, which gets into logs. Whoever finds it there must not
   * get at the connection: the cookie has to be that of the session, each time.
   */
  async #pass(engine: Engine, request: EngineRequest, next: (error?: Error) => void): Promise<void> {
    const sid = request._query?.sid
    if (!sid) return this.#passFirst(request, next)
    const conn = Object.hasOwn(engine.clients, sid) ? engine.clients[sid] : undefined
    const context = conn && this.#connections.get(conn)?.context
    if (context === undefined || this.#bridge.recognizes(request, context)) next()
    else next(new Error('The request does not come from the session of this connection.'))
  }

  /* A refused one goes on past all other middlewares, to `allowRequest`: the answer is Engine.IO's own. */
  async #passFirst(request: EngineRequest, next: (error?: Error) => void): Promise<void> {
    // Engine.IO refuses any other method by itself.
    if (request.method !== 'GET') {
      next()
      return
    }
    const admission = await this.#admit(request)
    if ('reason' in admission) this.#afterMiddlewares.get(request)?.()
    else next()
  }

  async #admit(request: IncomingMessage): Promise<Admitted | Refusal> {
    const { verdict, setCookie } = await this.#bridge.admit(request)
    const admission = verdict.accepted ? { context: verdict.context, setCookie } : verdict.refusal
    this.#admissions.set(request, admission)
    if (verdict.accepted) hideCookie(request)
    return admission
  }

  /* Called for first requests only. The user's own `allowRequest` is asked second, and finds `request.session`. */
  async #allow(request: IncomingMessage, asked: AllowRequest | undefined, answer: AllowRequestAnswer): Promise<void> {
    let isAnswered = false as boolean
    const once: AllowRequestAnswer = (message, success) => {
      if (isAnswered) return
      isAnswered = true
      answer(message, success)
    }
    try {
      const admission = this.#admissions.get(request) ?? (await this.#admit(request))
      // The same bytes for every 401: the reason is told by the bridge's 'refuse' alone.
      if ('reason' in admission) once(STATUS_CODES[admission.status], false)
      else if (asked === undefined) once(null, true)
      else await asked(request, once)
    } catch (error) {
      this.#bridge.fault(error)
      if (isAnswered) request.socket.destroy()
      else once(STATUS_CODES[500], false)
    }
  }

  #connected(conn: EngineSocket): void {
    const admission = conn.request === null ? undefined : this.#admissions.get(conn.request)
    if (admission === undefined || 'reason' in admission) return this.rejectConnection(conn)
    const { context, setCookie } = admission
    const connection = new Connection(conn, context)
    this.#connections.set(conn, connection)
    this.#bridge.bind(context, connection)
    // The browser has a cookie with a new expiry now: the store must not be behind. The check finds out what it fails for.
    if (setCookie !== undefined) context?.touch().catch(ignore)
  }

  #addCookie(headers: Headers, request: EngineRequest): void {
    const admission = this.#admissions.get(request)
    if (admission === undefined || 'reason' in admission || admission.setCookie === undefined) return
    const { setCookie } = admission
    const others = headers['Set-Cookie']
    if (others === undefined) headers['Set-Cookie'] = setCookie
    else if (request._query?.transport === 'polling') headers['Set-Cookie'] = [others, setCookie].flat()
    // On a 101 each key is one line, and a list would be joined by commas.
    else headers['set-cookie'] = setCookie
  }
}

type Headers = Record<string, string | string[]>

/*
 * Socket.IO has the headers in `socket.handshake`, which cluster adapters send to other nodes, and people log. Whoever reads
 * `headers.cookie` by its name still finds it.
 */
function hideCookie({ headers }: IncomingMessage): void {
  if (headers.cookie !== undefined) Object.defineProperty(headers, 'cookie', { enumerable: false })
}

function ignore(): void {
  // The socket's 'close', or the next check, tells the rest.
}
