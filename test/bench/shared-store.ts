/*
 * The stores that several processes share, and how these processes hear of each other.
 */
import { RedisStore } from 'connect-redis-8'
import connectPgSimple from 'connect-pg-simple'
import session from 'express-session'
import type { Store } from 'express-session'
import { Redis } from 'ioredis'
import pg from 'pg'
import type { Channel, LiveStore } from 'ws-session-bridge'
import { clusterChannel } from 'ws-session-bridge/cluster'
import { postgresChannel, postgresLiveStore, postgresTrigger } from 'ws-session-bridge/postgres'
import { redisChannel, redisLiveStore } from 'ws-session-bridge/redis'

import { openRedisStore } from './redis-store.js'

export type Sharing = 'redisLiveStore' | 'redisChannel' | 'postgresLiveStore' | 'postgresChannel' | 'clusterChannel'

export interface SharedSettings {
  readonly sharing: Sharing
  /** Of Redis or of PostgreSQL. */
  readonly url: string
  /** A prefix of the keys on Redis, the name of the table on PostgreSQL, and the name of the channel. */
  readonly name: string
}

export interface SharedStore {
  readonly store: Store
  readonly live?: LiveStore
  readonly channel?: Channel
}

export function isOnPostgres(sharing: Sharing): boolean {
  return sharing.startsWith('postgres')
}

export async function openSharedStore({ sharing, url, name }: SharedSettings): Promise<SharedStore> {
  if (isOnPostgres(sharing)) return openPostgres(sharing, url, name)
  if (sharing === 'redisChannel') {
    const client = new Redis(url)
    return { store: new RedisStore({ client, prefix: name }), channel: redisChannel(client, { name }) }
  }
  const { store } = await openRedisStore(url, name)
  return sharing === 'redisLiveStore' ? { store, live: redisLiveStore(store) } : { store, channel: clusterChannel() }
}

function openPostgres(sharing: Sharing, url: string, tableName: string): SharedStore {
  const pool = new pg.Pool({ connectionString: url, max: 4 })
  // The run ends its server before this process.
  pool.on('error', () => undefined)
  const PgStore = connectPgSimple(session)
  const store = new PgStore({ pool, tableName, pruneSessionInterval: false })
  const newClient = (): pg.Client => new pg.Client(url)
  // What is told on it is only `everywhere` where the LiveStore hears of every change by itself.
  const channel = postgresChannel(newClient, { name: tableName })
  if (sharing === 'postgresChannel') return { store, channel }
  return { store, channel, live: postgresLiveStore(pool, { newClient, tableName }) }
}

/** The table, with the trigger that only `postgresLiveStore` needs. */
export async function createTable({ sharing, url, name }: SharedSettings): Promise<void> {
  if (!isOnPostgres(sharing)) return
  const client = new pg.Client(url)
  await client.connect()
  await client.query(
    `CREATE TABLE "${name}" (sid varchar NOT NULL PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)`,
  )
  if (sharing === 'postgresLiveStore') await client.query(postgresTrigger({ tableName: name }))
  await client.end()
}
