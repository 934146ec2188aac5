// In: a Redis server and a prefix, as JSON. Out: a process of its own with an app on it, that tells its port.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { RedisStore } from 'connect-redis'
import express from 'express'
import session from 'express-session'
import { createClient } from 'redis'
import { WebSocketServer } from 'ws'
import { createSessionBridge } from '../../src/index.js'
import { redisLiveStore } from '../../src/redis.js'
import { sessionRoutes } from '../support/session-routes.js'

/** What the process is told. */
export interface Order {
  readonly writers: number
  readonly increments: number
  readonly sessionID: string
}

const { url, prefix } = JSON.parse(process.argv[2] ?? '') as { url: string; prefix: string }
const client = await createClient({ url }).connect()
const store = new RedisStore({ client, prefix, ttl: 3600 })
const options = { store, secret: 'a secret', resave: false, saveUninitialized: false }
const bridge = createSessionBridge({ session: options, live: redisLiveStore(store) })

const app = express()
app.use(session(options))
app.use(sessionRoutes())
const server = createServer(app)
bridge.attach(server, new WebSocketServer({ noServer: true }), {
  onConnection(ws, _request, context) {
    context.on('change', (changed) => {
      ws.send(JSON.stringify(changed))
    })
  },
})

process.on('message', ({ writers, increments, sessionID }: Order) => {
  const write = async () => {
    for (let done = 0; done < increments; done += 1) {
      await bridge.update(sessionID, (draft) => void (draft.views = (draft.views ?? 0) + 1))
    }
  }
  Promise.all(Array.from({ length: writers }, write)).then(
    () => process.send?.('done'),
    (error: unknown) => process.send?.(String(error)),
  )
})
process.on('disconnect', () => process.exit())

server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
