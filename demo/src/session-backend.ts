/*
 * Where the sessions are, and how the nodes hear of each other: in this process, or in Redis.
 */
import { MemoryStore, type Store } from 'express-session'
import type { LiveStore } from 'ws-session-bridge'

import { localChannel, redisChannel, type Channel } from './channel.js'

/** What a node stands on. */
export interface SessionBackend {
  readonly store: Store
  readonly live: LiveStore | undefined
  readonly channel: Channel
  readonly banned: BannedUsers
  close(): void
}

/** Who may no longer connect, whatever their sessions say. In your app, this is a column of a table. */
export interface BannedUsers {
  add(user: string): unknown
  has(user: string): boolean | Promise<boolean>
}

/** For one node. It forgets everything when the process ends. */
export function inMemory(store: Store = new MemoryStore()): SessionBackend {
  return { store, live: undefined, channel: localChannel(), banned: new Set(), close: () => undefined }
}

/** For any number of nodes, which hear of each other's logouts at once. */
export async function onRedis(url: string, prefix = 'ws-session-bridge-demo:'): Promise<SessionBackend> {
  // Only now, so that an app without Redis needs neither package.
  const { createClient } = await import('redis')
  const { RedisStore } = await import('connect-redis')
  const { redisLiveStore } = await import('ws-session-bridge/redis')

  const client = createClient({ url })
  const subscriber = client.duplicate()
  // node-redis connects again by itself; without a listener its error would end the process.
  for (const connection of [client, subscriber]) {
    connection.on('error', (error: Error) => {
      console.error('Redis:', error.message)
    })
    await connection.connect()
  }
  const store = new RedisStore({ client, prefix: `${prefix}session:` })
  return {
    store,
    // A second is long for a local Redis, and the page need not wait longer for its 503.
    live: redisLiveStore(store, { timeoutMs: 1_000 }),
    channel: await redisChannel(client, subscriber, `${prefix}nodes`),
    banned: {
      add: (user) => client.sAdd(`${prefix}banned`, user),
      has: async (user) => (await client.sIsMember(`${prefix}banned`, user)) === 1,
    },
    close() {
      subscriber.destroy()
      client.destroy()
    },
  }
}
