// a process of its own with an app on it, that tells
// its port, and then what it hears and when.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { RedisStore } from 'connect-redis'
import express from 'express'
import session from 'express-session'
import { createClient, createCluster, createSentinel } from 'redis'
import { WebSocketServer } from 'ws'
import { createSessionBridge, type SessionSnapshot } from '../../src/index.js'
import { redisLiveStore } from '../../src/redis.js'
import type { Heard } from '../support/reports.js'
import { sessionRoutes } from '../support/session-routes.js'

/** What the process is told. */
export interface Order {
  readonly writers: number
  readonly increments: number
  readonly sessionID: string
}

interface Place {
  readonly url?: string
  readonly rootNodes?: readonly { url: string }[]
  /** The port of a Sentinel that knows the master as `main`. */
  readonly sentinelPort?: number
  readonly prefix: string
  /** Its sessions have users, and those of a set in Redis may not be connected. */
  readonly withUsers?: boolean
}

const { url, rootNodes, sentinelPort, prefix, withUsers = false } = JSON.parse(process.argv[2] ?? '') as Place
const client = await connected()
// What a fault test does to its server is no error of the process.
client.on('error', () => undefined)
const store = new RedisStore({ client, prefix, ttl: 3600 })
const options = { store, secret: 'a secret', resave: false, saveUninitialized: false }
const bridge = createSessionBridge({
  session: options,
  live: redisLiveStore(store),
  ...(withUsers && {
    identify: ({ user }: SessionSnapshot) => user,
    authorize: async ({ user = '' }: SessionSnapshot) => (await client.sIsMember(`${prefix}banned`, user)) === 0,
  }),
})

async function connected() {
  if (rootNodes !== undefined) return await createCluster({ rootNodes: [...rootNodes] }).connect()
  if (sentinelPort === undefined) return await createClient(url === undefined ? {} : { url }).connect()
  const sentinelRootNodes = [{ host: '127.0.0.1', port: sentinelPort }]
  return await createSentinel({ name: 'main', sentinelRootNodes, scanInterval: 500 }).connect()
}

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

const hear = (event: Heard['event'], sessionID: string) => {
  process.send?.({ event, sessionID, at: performance.timeOrigin + performance.now() } satisfies Heard)
}
bridge.on('change', ({ sessionID }) => {
  hear('change', sessionID)
})
bridge.on('end', ({ sessionID }) => {
  hear('end', sessionID)
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
