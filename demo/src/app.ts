/*
 * The demo's app: Express, express-session and ws as one usually sets them up, and the bridge between them.
 * In: a port and a session store. Out: a running app, its address, and what closes it.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'

import express, { type RequestHandler } from 'express'
import session, { MemoryStore, type SessionOptions, type Store } from 'express-session'
import { WebSocketServer } from 'ws'
import { createSessionBridge, type SessionBridge } from 'ws-session-bridge'

import { attemptRoutes } from './attempts.js'
import { createChat } from './chat.js'
import { sessionRoutes } from './session-routes.js'

/** All of them have defaults. */
export interface DemoOptions {
  /** Default: any free one. */
  port?: number
  /** Default: a MemoryStore, which forgets everything when the process ends. */
  store?: Store
  /** Default: a random one, so that a restart logs everybody out. */
  secret?: string
}

/** The demo while it runs. */
export interface Demo {
  readonly url: string
  readonly bridge: SessionBridge
  close(): Promise<void>
}

const pages = fileURLToPath(new URL('../public', import.meta.url))
const dayMs = 24 * 60 * 60 * 1000

/** Starts the demo; rejects if the port is taken. */
export async function startDemo(options: DemoOptions = {}): Promise<Demo> {
  const { port = 0, store = new MemoryStore(), secret = randomBytes(32).toString('base64url') } = options

  // One object for both: what express-session accepts, the bridge accepts, and nothing more.
  const sessionOptions: SessionOptions = {
    store,
    secret,
    // A name of its own: browsers share cookies between all the ports of localhost.
    name: 'ws-session-bridge-demo.sid',
    resave: false,
    saveUninitialized: false,
    // `httpOnly` is the default. Behind TLS, add `secure: true`.
    cookie: { sameSite: 'lax', maxAge: dayMs },
  }

  const app = express()
  const server = createServer(app)
  // Chat messages are short, and a limit keeps anybody from sending a hundred megabytes.
  const wss = new WebSocketServer({ noServer: true, maxPayload: 4096 })

  const bridge = createSessionBridge({
    session: sessionOptions,
    // Only those who have logged in; a session may also exist for other reasons.
    authorize: ({ user }) => user !== undefined,
  })
  bridge.attach(server, wss, { path: '/chat', onConnection: createChat(bridge) })
  bridge.on('fault', (error) => {
    console.error('Fault:', error)
  })

  app.disable('x-powered-by')
  app.use(express.static(pages))
  app.use(fromThisSite, session(sessionOptions), express.json({ limit: '1kb' }))
  app.use(sessionRoutes())
  app.use(attemptRoutes(bridge, () => addressOf(server).port))

  server.listen(port)
  await once(server, 'listening')

  return {
    url: `http://localhost:${addressOf(server).port}`,
    bridge,
    async close() {
      const closed = once(server, 'close')
      server.close()
      // It waits for its upgraded sockets, and only the bridge ends those.
      await bridge.close()
      server.closeAllConnections()
      await closed
    },
  }
}

/* Browsers send the Origin with every POST: other sites can neither log a visitor in under another name nor log one out. */
const fromThisSite: RequestHandler = (request, response, next) => {
  const { origin, host = '' } = request.headers
  if (request.method === 'GET' || origin === undefined || origin === `${request.protocol}://${host}`) next()
  else response.sendStatus(403)
}

function addressOf(server: Server): AddressInfo {
  return server.address() as AddressInfo
}
