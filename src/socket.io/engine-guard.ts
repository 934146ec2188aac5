/*
 * The door of a Socket.IO server: its `allowRequest`, and a look at every later request of a connection.
 */
import { STATUS_CODES, type IncomingMessage } from 'node:http'

import type { AdapterApi } from '../session-bridge.js'
import type { SessionContext } from '../live/session-context.js'
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
  readonly #door: AdapterApi
  readonly #engines = new WeakSet<Engine>()
  readonly #admitted = new WeakMap<IncomingMessage, Admitted>()
  readonly #connections = new WeakMap<EngineSocket, Connection>()

  constructor(door: AdapterApi) {
    this.#door = door
  }

  readonly connectionOf = (conn: EngineSocket): Connection | undefined => this.#connections.get(conn)

  /** Closes a connection that nobody has let in. */
  readonly rejectConnection = (conn: EngineSocket): void => {
    this.#door.fault(
      new Error(
        'A Socket.IO connection came past the bridge and was closed: it was there before attachSocketIO, it came by ' +
          "WebTransport (which sends no cookie), or the engine's `allowRequest` was replaced after attachSocketIO.",
      ),
    )
    // Socket.IO has to hear of it first, or it would wait for what is closed.
    queueMicrotask(() => conn.close(true))
  }

  /**
   * Stands at the door of an engine.
   *
   * @throws {TypeError} for an engine that is not supported.
   */
  guard(engine: Engine): void {
    assertEngine(engine)
    if (this.#engines.has(engine)) return
    this.#engines.add(engine)
    const { opts } = engine
    const asked = opts.allowRequest
    opts.allowRequest = (request, answer) => {
      void this.#allow(request, asked?.bind(opts), answer)
    }
    // First of all: what runs before it may take its time, and a client may reset the connection meanwhile.
    engine.middlewares.unshift((request, _response, next) => {
      this.#door.watch(request)
      this.#pass(engine, request, next)
    })
    // It asks no `allowRequest` and sends no cookie, not even where it takes a connection over from polling.
    engine.onWebTransportSession = (session) => session.close()
    engine.prependListener('connection', (conn: EngineSocket) => this.#connected(conn))
    engine.on('initial_headers', (headers: Headers, request: EngineRequest) => this.#addCookie(headers, request))
    for (const conn of Object.values(engine.clients)) this.rejectConnection(conn)
  }

  /* Asked for first requests only. The user's own is asked second, and finds `request.session`. */
  async #allow(request: IncomingMessage, asked: AllowRequest | undefined, answer: AllowRequestAnswer): Promise<void> {
    const { socket } = request
    let answered = false as boolean
    const once: AllowRequestAnswer = (message, success) => {
      if (answered) return
      answered = true
      answer(message, success)
    }
    try {
      const { verdict, setCookie } = await this.#door.admit(request)
      if (!verdict.accepted) {
        // The same bytes for every 401: the reason is for the bridge's 'refuse' alone.
        once(STATUS_CODES[verdict.refusal.status], false)
        return
      }
      this.#admitted.set(request, { context: verdict.context, setCookie })
      hideCookie(request)
      if (asked === undefined) once(null, true)
      else await asked(request, once)
    } catch (error) {
      this.#door.fault(error)
      if (answered) socket.destroy()
      else once(STATUS_CODES[500], false)
    }
  }

  /*
   * Engine.IO's own session ID stands in the URL of every later poll and of the upgrade to WebSocket, and so in logs.
   * Whoever finds it there must not get at the connection: the cookie has to be that of the session, each time.
   */
  #pass(engine: Engine, request: EngineRequest, next: (error?: Error) => void): void {
    const sid = request._query?.sid
    const conn = sid !== undefined && Object.hasOwn(engine.clients, sid) ? engine.clients[sid] : undefined
    const context = conn && this.#connections.get(conn)?.context
    if (context === undefined || this.#door.recognises(request, context)) return next()
    next(new Error('The request does not come from the session of this connection.'))
  }

  #connected(conn: EngineSocket): void {
    const admitted = conn.request === null ? undefined : this.#admitted.get(conn.request)
    if (admitted === undefined) return this.rejectConnection(conn)
    const { context, setCookie } = admitted
    const connection = new Connection(conn, context)
    this.#connections.set(conn, connection)
    this.#door.bind(context, connection)
    // The browser has a cookie with a new expiry now: the store must not be behind. The check finds out what it fails for.
    if (setCookie !== undefined) context?.touch().catch(ignore)
  }

  #addCookie(headers: Headers, request: EngineRequest): void {
    const setCookie = this.#admitted.get(request)?.setCookie
    if (setCookie === undefined) return
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
