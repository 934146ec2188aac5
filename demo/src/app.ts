/*
 * The demo's app: Express, express-session and ws as one usually sets them up, and the bridge between them.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

import express from 'express'
import session, { type SessionOptions } from 'express-session'
import { WebSocketServer } from 'ws'
import { createSessionBridge, type SessionBridge } from 'ws-session-bridge'

import { attackRoutes } from './attacks.js'
import { inMemory, type SessionBackend } from './session-backend.js'
import { createMonitor, mayConnect, monitorPath } from './monitor.js'
import { Nodes } from './nodes.js'
import { createOtherSite } from './other-site.js'
import { Outage } from './outage.js'
import { fromThisSite, securityHeaders } from './page-security.js'
import { createRoom, roomPath } from './room.js'
import { sessionRoutes } from './session-routes.js'
import { socketRoutes } from './socket-routes.js'
import { UpgradeProbe } from './upgrade-probe.js'

/** All of them have defaults. */
export interface DemoOptions {
  /** Default: any free one. */
  port?: number
  /** Where the sessions are. Default: in memory, for one node. It is closed with the demo. */
  backend?: SessionBackend
  /** Nodes that share sessions share it. Default: a random one, so that a restart logs every user out. */
  secret?: string
  /** What this node is called. */
  node?: string
  /** How long a session lasts without a message or a request. Short, so that one sees it. */
  maxAgeMs?: number
  /** Stops Redis for that long. Only for one that is the demo's own. */
  stopRedis?: ((ms: number) => void) | undefined
}

/** The demo while it runs. */
export interface Demo {
  readonly url: string
  /** The page of another origin. */
  readonly otherUrl: string
  readonly bridge: SessionBridge
  close(): Promise<void>
}

const pages = fileURLToPath(new URL('../public', import.meta.url))
const pico = dirname(createRequire(import.meta.url).resolve('@picocss/pico/css/pico.jade.min.css'))

/** Starts the demo; rejects if the port is taken. */
export async function startDemo(options: DemoOptions = {}): Promise<Demo> {
  const { port = 0, backend = inMemory(), secret = randomBytes(32).toString('base64url') } = options
  const { node = 'node 1', maxAgeMs = 3 * 60_000, stopRedis } = options

  // One object for both: what express-session accepts, the bridge accepts, and nothing more.
  const sessionOptions = {
    store: backend.store,
    secret,
    // A name of its own: browsers share cookies between all the ports of localhost.
    name: 'ws-session-bridge-demo.sid',
    resave: false,
    saveUninitialized: false,
    // The browser's cookie has an expiry of its own: every answer moves it, the 101 too.
    rolling: true,
    // `httpOnly` is the default. Behind TLS, add `secure: true`.
    cookie: { sameSite: 'lax', maxAge: maxAgeMs },
  } satisfies SessionOptions

  const app = express()
  const server = createServer(app)
  // First of all, so that nothing needs to be undone if the port is taken.
  server.listen(port)
  await once(server, 'listening')
  const url = urlOf(server)

  // Chat messages are short, and a limit keeps a client from sending a hundred megabytes.
  const wss = new WebSocketServer({ noServer: true, maxPayload: 4096 })

  const bridge = createSessionBridge({
    session: sessionOptions,
    live: backend.live,
    identify: ({ user }) => user,
    authorize: (session, _request, { url }) => mayConnect(session, roomPath, url, backend.banned),
    // No user has more tabs than that.
    maxSocketsPerSession: 20,
  })
  bridge.on('fault', ({ stack }) => {
    // Not the whole of it: its `cause` may be the store's own error, and that may hold a session ID.
    console.error('Fault:', stack)
  })

  const nodes = new Nodes(bridge, backend.channel, node, url)
  const probe = new UpgradeProbe(bridge, () => portOf(server))
  const room = createRoom(nodes, maxAgeMs)
  const monitor = createMonitor(nodes, backend.banned, stopRedis && new Outage(bridge, probe, stopRedis))
  bridge.attach(server, wss, { path: roomPath, onConnection: room.onConnection })
  bridge.attach(server, wss, { path: monitorPath, onConnection: monitor.onConnection })

  const otherSite = createOtherSite()
  const otherOrigin = (): string => urlOf(otherSite)
  const otherUrl = (): string => `${otherOrigin()}/?port=${portOf(server)}`

  app.disable('x-powered-by')
  app.use(securityHeaders, express.static(pages), express.static(pico))
  app.get('/where', (_request, response) => response.json({ node, otherUrl: otherUrl() }))
  app.use(fromThisSite, session(sessionOptions), express.json({ limit: '1kb' }))
  app.use(sessionRoutes(sessionOptions.name), socketRoutes(bridge))
  app.use(attackRoutes({ bridge, store: backend.store, probe, otherOrigin }))

  // Any free port: all that matters is that it is another one.
  otherSite.listen(0)
  await once(otherSite, 'listening')

  return {
    url,
    otherUrl: otherUrl(),
    bridge,
    async close() {
      nodes.close()
      room.close()
      monitor.close()
      otherSite.close()
      otherSite.closeAllConnections()
      const closed = once(server, 'close')
      server.close()
      // It waits for its upgraded sockets, and only the bridge ends those.
      await bridge.close()
      server.closeAllConnections()
      await closed
      backend.close()
    },
  }
}

function urlOf(server: Server): string {
  return `http://localhost:${portOf(server)}`
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}
