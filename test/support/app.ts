// a real server with Express, express-session and ws, bridged and listening;
// closed at the test's end.
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import express, { type Express } from 'express'
import session, { MemoryStore, type SessionOptions, type Store } from 'express-session'
import { WebSocketServer, type ServerOptions } from 'ws'
import {
  createSessionBridge,
  type ConnectionListener,
  type Refusal,
  type SessionBridge,
  type SessionBridgeOptions,
} from 'ws-session-bridge'
import { atEnd } from './at-end.js'
import { sessionRoutes } from './session-routes.js'

export interface AppOptions {
  /** Default: a new MemoryStore. */
  store?: Store
  session?: Partial<SessionOptions & { key: string }>
  bridge?: Partial<Omit<SessionBridgeOptions, 'session'>>
  /** Default: the path `/ws`; `{}` takes every path. */
  mount?: { path?: string | RegExp }
  wss?: Omit<ServerOptions, 'noServer' | 'port' | 'server' | 'path'>
  onConnection?: ConnectionListener
}

export interface App {
  readonly url: string
  /** Of the path `/ws`. */
  readonly wsUrl: string
  readonly port: number
  readonly server: Server
  readonly app: Express
  readonly wss: WebSocketServer
  readonly bridge: SessionBridge
  readonly store: Store
  readonly sessionOptions: SessionBridgeOptions['session']
  /** What the bridge told by `refuse` and `fault`. */
  readonly refusals: Refusal[]
  readonly faults: unknown[]
  /** Logs in over HTTP; resolves to the Cookie header that a browser would send from then on. */
  login(name: string, role?: string): Promise<string>
  /** An HTTP request with that Cookie header: `call('POST', '/logout', cookie)`. */
  call(method: 'GET' | 'POST', path: string, cookie?: string): Promise<Response>
  /** What happens at the test's end, now: for tests that start a thousand of them. */
  stop(): Promise<void>
}

export async function startApp(options: AppOptions = {}): Promise<App> {
  const store = options.store ?? new MemoryStore()
  const sessionOptions = { secret: 'a secret', resave: false, saveUninitialized: false, ...options.session, store }

  const app = express()
  app.use(session(sessionOptions))
  app.use(sessionRoutes())
  const server = createServer(app)
  const wss = new WebSocketServer({ ...options.wss, noServer: true })

  const bridge = createSessionBridge({ ...options.bridge, session: sessionOptions })
  const refusals: Refusal[] = []
  const faults: unknown[] = []
  bridge.on('refuse', (refusal) => refusals.push(refusal))
  bridge.on('fault', (error) => faults.push(error))
  const { mount = { path: '/ws' }, onConnection } = options
  bridge.attach(server, wss, onConnection ? { ...mount, onConnection } : mount)

  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`

  const close = async () => {
    const bridgeClosed = bridge.close()
    if (server.listening) {
      const serverClosed = once(server, 'close')
      server.close()
      // A socket that the bridge forgot must not hold up the tests after it.
      for (const socket of sockets) socket.destroy()
      await serverClosed
    }
    await bridgeClosed
  }
  const forget = atEnd(close)

  const call: App['call'] = async (method, path, cookie) => {
    const response = await fetch(url + path, { method, headers: cookie === undefined ? {} : { cookie } })
    // express-session holds the last byte back until the session is saved; the headers come before.
    await response.clone().arrayBuffer()
    return response
  }

  return {
    url,
    wsUrl: `ws://127.0.0.1:${port}/ws`,
    port,
    server,
    app,
    wss,
    bridge,
    store,
    sessionOptions,
    refusals,
    faults,
    call,
    async stop() {
      forget()
      await close()
    },
    async login(name, role) {
      const query = new URLSearchParams(role === undefined ? { name } : { name, role })
      const response = await call('POST', `/login?${query.toString()}`)
      // express-session lets the last byte go when the session is saved.
      await response.text()
      return cookieOf(response)
    },
  }
}

/** The Cookie header that answers a response's Set-Cookie. */
export function cookieOf(response: Response): string {
  const pairs = response.headers.getSetCookie().map((header) => header.split(';', 1)[0])
  if (pairs.length === 0) throw new Error(`No cookie came with the answer ${response.status}`)
  return pairs.join('; ')
}
