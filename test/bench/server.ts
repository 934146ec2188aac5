/*
 * A server in a process of its own, so that its CPU and its memory are its own.
 */
import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'

import { MemoryStore, type Store } from 'express-session'
import type { SessionBridgeStats, SessionContext } from 'ws-session-bridge'
import { redisLiveStore } from 'ws-session-bridge/redis'

import { answer, startedWith } from './process.js'
import { openRedisStore } from './redis-store.js'
import { serve, type Kind, type Reading, type ServingOptions } from './serving.js'
import { destroySession, fill, newRecord, setSession } from './sessions.js'

export type { Kind }

export interface ServerSettings {
  readonly kind: Kind
  /** Without one, the sessions are in the server's memory. */
  readonly redis?: { readonly url: string; readonly prefix: string; readonly live: boolean } | undefined
  readonly bridge?: ServingOptions['bridge']
  readonly rolling?: boolean
  readonly reading?: Reading
  /** How many sessions its store has from the start, where it is in memory. */
  readonly sessions: number
}

/** What a server process can be asked. */
export interface ServerCalls {
  port: () => number
  /** CPU so far, in µs. */
  cpu: () => number
  /** After a collection of garbage, in bytes. */
  memory: () => { heap: number; resident: number }
  /** ChangeNotifier or ends sessions in the store; resolves to the CPU that it took until all were heard of, in µs. */
  change: (range: Range) => Promise<number>
  logout: (range: Range) => Promise<number>
  refill: (range: Range) => Promise<void>
  /** From now on, so many events are noted: whose session, and when by the clock of the machine, in ms. */
  listen: (what: { event: 'change' | 'end'; count: number }) => void
  /** Resolves to them when all have come. */
  heard: () => Promise<[sessionID: string, at: number][]>
  /** Cuts all connections. */
  drop: () => void
  stats: () => SessionBridgeStats | undefined
}

/** LiveSessions by their index. */
export interface Range {
  readonly first: number
  readonly count: number
}

const settings = startedWith() as ServerSettings
const { store, live } = await storeOf(settings)
const { server, bridge } = serve({ ...settings, store, live })
const sockets = new Set<Socket>()
server.on('connection', (socket) => {
  sockets.add(socket)
  socket.once('close', () => sockets.delete(socket))
})
// A storm of clients is no flood here: none has to try again because this queue is full.
server.listen({ port: 0, host: '127.0.0.1', backlog: 20_000 })
await once(server, 'listening')
let round = 0
let noted: Promise<[sessionID: string, at: number][]> = Promise.resolve([])

answer({
  port: () => (server.address() as AddressInfo).port,
  cpu,
  memory: () => {
    for (let run = 0; run < 3; run += 1) global.gc?.()
    const { heapUsed, rss } = process.memoryUsage()
    return { heap: heapUsed, resident: rss }
  },
  change: (range: Range) => {
    round += 1
    return heard('change', range, (index) => setSession(store, index, newRecord({ user: `user ${round}` })))
  },
  logout: (range: Range) => heard('end', range, (index) => destroySession(store, index)),
  refill: ({ first, count }: Range) => fill(store, count, first),
  listen: ({ event, count }: { event: 'change' | 'end'; count: number }) => {
    noted = note(event, count)
  },
  heard: () => noted,
  drop: () => {
    for (const socket of sockets) socket.destroy()
  },
  stats: () => bridge?.stats(),
} satisfies ServerCalls)

async function storeOf({ redis, sessions }: ServerSettings): Promise<Pick<ServingOptions, 'store' | 'live'>> {
  if (redis === undefined) {
    const store: Store = new MemoryStore()
    await fill(store, sessions)
    return { store }
  }
  const { store } = await openRedisStore(redis.url, redis.prefix)
  return { store, live: redis.live ? redisLiveStore(store) : undefined }
}

async function heard(
  event: 'change' | 'end',
  { first, count }: Range,
  act: (index: number) => Promise<void>,
): Promise<number> {
  const before = cpu()
  const all = note(event, count)
  for (let index = first; index < first + count; index += 1) await act(index)
  await all
  return cpu() - before
}

function note(event: 'change' | 'end', count: number): Promise<[sessionID: string, at: number][]> {
  const events: [sessionID: string, at: number][] = []
  return new Promise((resolve) => {
    const hear = ({ sessionID }: SessionContext): void => {
      events.push([sessionID, performance.timeOrigin + performance.now()])
      if (events.length < count) return
      bridge?.off(event, hear)
      resolve(events)
    }
    bridge?.on(event, hear)
  })
}

function cpu(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}
