// a process with an app on a store that other processes share: it tells its port, and then what it hears and when.
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { SessionData } from 'express-session'
import pg from 'pg'
import { WebSocketServer } from 'ws'
import { clusterChannel } from '../../src/cluster.js'
import { createSessionBridge, type Channel, type LiveStore } from '../../src/index.js'
import { postgresChannel, postgresLiveStore } from '../../src/postgres.js'
import { redisChannel, type RedisChannelClient } from '../../src/redis.js'
import type { Heard } from '../support/reports.js'
import { openStore, type Place, type StoreName } from './open-store.js'

/** How the processes hear of each other. */
export type Sharing = 'postgresLiveStore' | 'postgresChannel' | 'redisChannel' | 'clusterChannel'

export interface SharedNode {
  readonly name: StoreName
  readonly sharing: Sharing
  readonly place: Place
}

/** What the process is told to do. */
export type Order =
  | { readonly order: 'put'; readonly sessionIDs: readonly string[]; readonly role: string }
  | { readonly order: 'destroy'; readonly sessionIDs: readonly string[] }
  | { readonly order: 'increment'; readonly sessionID: string; readonly writers: number; readonly increments: number }

/** Its answer: when it began with each session, or why it could not be done. */
export interface Done {
  readonly begun: readonly (readonly [sessionID: string, at: number])[]
  readonly error?: string
}

const { name, sharing, place } = JSON.parse(process.argv[2] ?? '') as SharedNode
const { store, close } = await openStore(name, place)
const newClient = () => new pg.Client(`postgres://postgres@127.0.0.1:${place.port}/postgres`)

function wayToOthers(): { channel?: Channel; live?: LiveStore } {
  if (sharing === 'clusterChannel') return { channel: clusterChannel() }
  if (sharing === 'postgresChannel') return { channel: postgresChannel(newClient, { name: place.prefix }) }
  if (sharing === 'postgresLiveStore') {
    const pool = new pg.Pool({ connectionString: `postgres://postgres@127.0.0.1:${place.port}/postgres` })
    return { live: postgresLiveStore(pool, { newClient }) }
  }
  const { Redis } = createRequire(import.meta.url)('ioredis') as { Redis: new (port: number) => RedisChannelClient }
  return { channel: redisChannel(new Redis(place.port), { name: place.prefix }) }
}

const bridge = createSessionBridge({
  session: { store, secret: 'a secret', resave: false, saveUninitialized: false },
  ...wayToOthers(),
  authorize: ({ role }) => role !== 'nobody',
})
const server = createServer()
bridge.attach(server, new WebSocketServer({ noServer: true }))

const now = () => performance.timeOrigin + performance.now()
const hear = (event: Heard['event'], sessionID: string) =>
  process.send?.({ event, sessionID, at: now() } satisfies Heard)
bridge.on('fault', (error) => {
  console.error(String(error))
})
bridge.on('change', ({ sessionID }) => void hear('change', sessionID))
bridge.on('end', ({ sessionID }) => void hear('end', sessionID))

const set = promisify(store.set.bind(store))
const destroy = promisify(store.destroy.bind(store))
const maxAge = 600_000

function recordOf(role: string): SessionData {
  const cookie = { originalMaxAge: maxAge, maxAge, expires: new Date(Date.now() + maxAge), path: '/', httpOnly: true }
  const record: unknown = { cookie, user: 'ada', role }
  return record as SessionData
}

async function follow(order: Order): Promise<Done['begun']> {
  if (order.order === 'increment') {
    const { sessionID, writers, increments } = order
    const write = async () => {
      for (let done = 0; done < increments; done += 1) {
        await bridge.update(sessionID, (draft) => void (draft.views = (draft.views ?? 0) + 1))
      }
    }
    await Promise.all(Array.from({ length: writers }, write))
    return []
  }
  const begun: [string, number][] = []
  for (const sessionID of order.sessionIDs) {
    begun.push([sessionID, now()])
    if (order.order === 'destroy') await destroy(sessionID)
    else await set(sessionID, recordOf(order.role))
    // A steady stream: what is measured is the way of one report, not how many fit into a second.
    await pause(2)
  }
  return begun
}

process.on('message', (message: Partial<Order>) => {
  // Those of the cluster's channel come the same way.
  if (message.order === undefined) return
  follow(message as Order).then(
    (begun) => process.send?.({ begun } satisfies Done),
    (error: unknown) => process.send?.({ begun: [], error: String(error) } satisfies Done),
  )
})
process.on('disconnect', () => {
  void close()
  process.exit()
})

// Exclusive: workers of node:cluster would share the port.
server.listen({ port: 0, host: '127.0.0.1', exclusive: true }, () =>
  process.send?.((server.address() as AddressInfo).port),
)
