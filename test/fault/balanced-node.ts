// a process of its own with an app on it that drains on SIGTERM, and says
// when it is ready.
import { createServer } from 'node:http'
import { RedisStore } from 'connect-redis'
import express from 'express'
import session from 'express-session'
import { createClient } from 'redis'
import { WebSocketServer } from 'ws'
import { createSessionBridge, type SessionBridgeStats } from '../../src/index.js'
import { redisLiveStore } from '../../src/redis.js'
import { drainable } from '../recipes/drain.js'
import { sessionRoutes } from '../support/session-routes.js'

/** What the process is given. */
export interface Place {
  readonly name: string
  readonly port: number
  readonly url: string
  readonly prefix: string
  readonly secret: string
}

/** What it tells when it goes: the bridge's figures. */
export interface Farewell {
  readonly refused: SessionBridgeStats['refused']
  readonly ended: SessionBridgeStats['ended']
  readonly faults: number
}

const { name, port, url, prefix, secret } = JSON.parse(process.argv[2] ?? '') as Place
const client = await createClient({ url }).connect()
const store = new RedisStore({ client, prefix, ttl: 3600 })
const cookie = { secure: true, maxAge: 3_600_000 }
const options = { store, secret, resave: false, saveUninitialized: false, rolling: true, proxy: true, cookie }
// A busy machine takes its time for hundreds of clients that come at once. None of them is refused for that.
const timeoutMs = 30_000
const live = redisLiveStore(store, { timeoutMs })
const bridge = createSessionBridge({ session: options, live, handshakeTimeoutMs: timeoutMs, trustProxy: true })

const app = express()
const server = createServer(app)
const drain = drainable(app, server, bridge, 5_000)
app.use(session(options))
app.use(sessionRoutes())
bridge.attach(server, new WebSocketServer({ noServer: true }), {
  onConnection(ws, _request, context) {
    ws.send(JSON.stringify({ node: name }))
    ws.on('message', (data: Buffer) => {
      ws.send(JSON.stringify({ node: name, user: context.session.user, said: data.toString() }))
    })
  },
})

process.once('SIGTERM', () => {
  void drain()
    .then(() => client.close())
    .then(() => {
      const { refused, ended, faults } = bridge.stats()
      // Then nothing holds the process any longer, or the test waits for its end in vain.
      process.send?.({ refused, ended, faults } satisfies Farewell, () => process.disconnect())
    })
})
server.listen(port, '127.0.0.1', () => process.send?.('ready'))
