/*
 * A server in a process of its own, so that its CPU and its memory are its own.
 */
import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

import { MemoryStore, type Store } from 'express-session'
import type { SessionBridgeStats, SessionContext } from 'ws-session-bridge'
import { redisLiveStore } from 'ws-session-bridge/redis'

import { answer, startedWith } from './process.js'
import { openRedisStore } from './redis-store.js'
import { atOnce, pace } from './rounds.js'
import { openSharedStore, type SharedSettings, type SharedStore } from './shared-store.js'
import { serve, type Kind, type Reading, type ServingOptions } from './serving.js'
import { destroySession, fill, newRecord, sessionIDOf, setSession, userOf } from './sessions.js'

export type { Kind }

export interface ServerSettings {
  readonly kind: Kind
  /** Without one, the sessions are in the server's memory. */
  readonly redis?: { readonly url: string; readonly prefix: string; readonly live: boolean } | undefined
  /** A store that several processes share. */
  readonly shared?: SharedSettings | undefined
  readonly bridge?: ServingOptions['bridge']
  /** The session's `user` says whose it is. */
  readonly identify?: boolean | undefined
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
  /** Changes or ends sessions in the store; resolves to the CPU that it took until all were heard of, in µs. */
  change: (range: Range) => Promise<number>
  logout: (range: Range) => Promise<number>
  refill: (range: Range) => Promise<void>
  /** The same, each session of a user of its own. */
  refillUsers: (range: Range) => Promise<void>
  /** From now on, so many events are noted: whose session, and when by the clock of the machine, in ms. */
  listen: (what: { event: 'change' | 'end'; count: number }) => void
  /** Resolves to them when all have come. */
  heard: () => Promise<[sessionID: string, at: number][]>
  /** Cuts all connections. */
  drop: () => void
  /** A minor collection of garbage: what was done before is not to be paid for later. A full one would throw compiled code away. */
  collectYoung: () => void
  /** Resolves when no connection is left. */
  allClosed: () => Promise<void>
  stats: () => SessionBridgeStats | undefined
  /** Logs sessions out one after another; resolves to when each was begun. */
  logoutEach: (range: Range) => Promise<Moment[]>
  /** `everywhere.disconnect({ user })`, one user after another; resolves to when each was begun. */
  disconnectUsers: (range: Range) => Promise<Moment[]>
  /** As express-session does at a login: the session before goes, a new one is written. */
  logins: (how: { readonly perSecond: number; readonly seconds: number }) => Promise<void>
  /** `bridge.update`, so often, 16 at once, each adding 1 to the next of these sessions. */
  increment: (range: Range & { readonly updates: number }) => Promise<void>
  /** What these sessions have been added. */
  total: (range: Range) => Promise<number>
}

/** Something of a session, and when it was, by the clock of the machine, in ms. */
export type Moment = readonly [index: number, at: number]

/** Sessions by their index. */
export interface Range {
  readonly first: number
  readonly count: number
}

/* There with --expose-gc, as the command starts it. */
const collect = globalThis.gc as ((options: { type: 'minor' }) => void) | undefined

const settings = startedWith() as ServerSettings
const { store, live, channel } = await storeOf(settings)
const { server, bridge } = serve({
  ...settings,
  store,
  live,
  bridge: {
    ...settings.bridge,
    ...(channel && { channel }),
    ...(settings.identify && { identify: ({ user }) => user }),
  },
})
const sockets = new Set<Socket>()
server.on('connection', (socket) => {
  sockets.add(socket)
  socket.once('close', () => {
    sockets.delete(socket)
    if (sockets.size === 0) onAllClosed()
  })
})
let onAllClosed: () => void = () => undefined
// A storm of clients is no flood here: none has to try again because this queue is full. Workers of node:cluster share no port.
server.listen({ port: 0, host: '127.0.0.1', backlog: 20_000, exclusive: true })
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
  refillUsers: ({ first, count }: Range) => fill(store, count, first, (index) => ({ user: userOf(index) })),
  listen: ({ event, count }: { event: 'change' | 'end'; count: number }) => {
    noted = note(event, count)
  },
  heard: () => noted,
  drop: () => {
    for (const socket of sockets) socket.destroy()
  },
  collectYoung: () => {
    collect?.({ type: 'minor' })
  },
  allClosed: () =>
    new Promise((resolve) => {
      onAllClosed = resolve
      if (sockets.size === 0) resolve()
    }),
  stats: () => bridge?.stats(),
  logoutEach: (range: Range) => eachTimed(range, (index) => destroySession(store, index)),
  disconnectUsers: (range: Range) =>
    eachTimed(range, async (index) => {
      const result = await bridge?.everywhere.disconnect({ user: userOf(index) })
      if (result?.count !== 1 || !result.complete)
        throw new Error(`Closed ${String(result?.count)} connections, not 1.`)
    }),
  logins: ({ perSecond, seconds }: { perSecond: number; seconds: number }) =>
    pace(perSecond, perSecond * seconds, async (count) => {
      await destroySession(store, 10_000_000 + count)
      await setSession(store, 20_000_000 + count, newRecord())
    }),
  increment: ({ first, count, updates }: Range & { updates: number }) =>
    atOnce(16, updates, (step) =>
      bridge?.update(sessionIDOf(first + (step % count)), (draft) => {
        draft.count = (draft.count ?? 0) + 1
      }),
    ),
  total: async ({ first, count }: Range) => {
    let total = 0
    for (let index = first; index < first + count; index += 1) {
      total += (await bridge?.load(sessionIDOf(index)))?.count ?? 0
    }
    return total
  },
} satisfies ServerCalls)

async function storeOf({ redis, shared, sessions }: ServerSettings): Promise<SharedStore> {
  if (shared !== undefined) return await openSharedStore(shared)
  if (redis === undefined) {
    const store: Store = new MemoryStore()
    await fill(store, sessions)
    return { store }
  }
  const { store } = await openRedisStore(redis.url, redis.prefix)
  return { store, ...(redis.live && { live: redisLiveStore(store) }) }
}

/* From before the call, so that nothing of it is left out. */
async function eachTimed({ first, count }: Range, act: (index: number) => Promise<void>): Promise<Moment[]> {
  const moments: Moment[] = []
  for (let index = first; index < first + count; index += 1) {
    moments.push([index, performance.timeOrigin + performance.now()])
    await act(index)
    await pause(1)
  }
  return moments
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
