// the stores of the matrix, each opened as its README says.
import { createRequire } from 'node:module'
import { join } from 'node:path'
import session, { type Store } from 'express-session'
import { RedisStore } from 'connect-redis'
import { createClient } from 'redis'
import type { LiveStore } from '../../src/store/live-store.js'
import { redisLiveStore } from '../../src/redis.js'

/** Where the sessions are. */
export interface Place {
  /** Of the server, on 127.0.0.1. */
  readonly port: number
  /** For stores that keep files. */
  readonly folder: string
  /** What tells the sessions of one test file from those of others. */
  readonly prefix: string
}

export interface OpenStore {
  readonly store: Store
  readonly live?: LiveStore
  /** Ends what keeps a process running. */
  close(): unknown
}

type StoreClass<Options> = new (options: Options) => Store
type Factory<Options> = (session: { Store: unknown }) => StoreClass<Options>
type Opener = (place: Place) => Promise<OpenStore> | OpenStore

// By require: some bring no types, and some have types of their own for another express-session.
const require = createRequire(import.meta.url)
const ignoreErrors = () => undefined

interface NodeRedis {
  on(event: 'error', listener: () => void): void
  connect(): Promise<unknown>
  disconnect(): Promise<unknown>
}

type ClientFactory = (options: { url: string; disableOfflineQueue: boolean }) => NodeRedis

async function nodeRedis(create: ClientFactory, port: number): Promise<NodeRedis> {
  // As docs/stores.md says: with its offline queue, calls wait for a server that is not there.
  const client = create({ url: `redis://127.0.0.1:${port}`, disableOfflineQueue: true })
  client.on('error', ignoreErrors)
  await client.connect()
  return client
}

async function onRedis(create: unknown, place: Place, Class: StoreClass<{ client: unknown; prefix: string }>) {
  const client = await nodeRedis(create as ClientFactory, place.port)
  const store = new Class({ client, prefix: place.prefix })
  return { store, close: () => client.disconnect().catch(ignoreErrors) }
}

async function onRedis6(place: Place) {
  const client = createClient({ url: `redis://127.0.0.1:${place.port}`, disableOfflineQueue: true })
  client.on('error', ignoreErrors)
  await client.connect()
  const store = new RedisStore({ client, prefix: place.prefix })
  return {
    store,
    close: () => {
      client.destroy()
    },
  }
}

const openers = {
  'connect-redis 7 on redis 4': (place) => {
    const { createClient: create } = require('redis-4') as { createClient: unknown }
    const { default: Class } = require('connect-redis-7') as {
      default: StoreClass<{ client: unknown; prefix: string }>
    }
    return onRedis(create, place, Class)
  },

  'connect-redis 8 on redis 5': (place) => {
    const { createClient: create } = require('redis-5') as { createClient: unknown }
    const { RedisStore: Class } = require('connect-redis-8') as {
      RedisStore: StoreClass<{ client: unknown; prefix: string }>
    }
    return onRedis(create, place, Class)
  },

  'connect-redis 8 on ioredis': ({ port, prefix }) => {
    const { Redis } = require('ioredis') as {
      Redis: new (options: object) => { on(event: 'error', listener: () => void): void; disconnect(): void }
    }
    const { RedisStore: Class } = require('connect-redis-8') as {
      RedisStore: StoreClass<{ client: unknown; prefix: string }>
    }
    const client = new Redis({ port, host: '127.0.0.1', maxRetriesPerRequest: 0, retryStrategy: () => 100 })
    client.on('error', ignoreErrors)
    return {
      store: new Class({ client, prefix }),
      close: () => {
        client.disconnect()
      },
    }
  },

  'connect-redis 9 on redis 6': onRedis6,

  'connect-redis 9 on redis 6 with redisLiveStore': async (place) => {
    const opened = await onRedis6(place)
    return { ...opened, live: redisLiveStore(opened.store) }
  },

  'connect-pg-simple': ({ port }) => {
    const { Pool } = require('pg') as {
      Pool: new (options: object) => { on(event: 'error', listener: () => void): void; end(): Promise<void> }
    }
    const pool = new Pool({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' })
    pool.on('error', ignoreErrors)
    const Class = (require('connect-pg-simple') as Factory<object>)(session)
    return { store: new Class({ pool, createTableIfMissing: true, errorLog: ignoreErrors }), close: () => pool.end() }
  },

  'connect-session-knex on PostgreSQL': ({ port }) => {
    const knex = (require('knex') as (options: object) => { destroy(): Promise<void> })({
      client: 'pg',
      connection: { host: '127.0.0.1', port, user: 'postgres', database: 'postgres' },
      log: { warn: ignoreErrors, error: ignoreErrors },
    })
    const { ConnectSessionKnexStore } = require('connect-session-knex') as {
      ConnectSessionKnexStore: StoreClass<object>
    }
    const store = new ConnectSessionKnexStore({ knex, tableName: 'knex_sessions', onDbCleanupError: ignoreErrors })
    return { store, close: () => knex.destroy() }
  },

  'express-mysql-session on MariaDB': ({ port }) => {
    const Class = (require('express-mysql-session') as Factory<object>)(session)
    const options = { host: '127.0.0.1', port, user: 'root', database: 'sessions' }
    const store = new Class(options) as Store & { close(): Promise<void> }
    return { store, close: () => store.close() }
  },

  'session-file-store': ({ folder }) => {
    const Class = (require('session-file-store') as Factory<object>)(session)
    return { store: new Class({ path: join(folder, 'sessions'), logFn: ignoreErrors }), close: ignoreErrors }
  },

  'session-file-store with `retries: 0`': ({ folder }) => {
    const Class = (require('session-file-store') as Factory<object>)(session)
    const options = { path: join(folder, 'sessions'), logFn: ignoreErrors, retries: 0 }
    return { store: new Class(options), close: ignoreErrors }
  },

  'better-sqlite3-session-store': ({ folder }) => {
    const Database = require('better-sqlite3') as new (
      file: string,
      options: { timeout: number },
    ) => {
      close(): void
    }
    // As long as another process may be in the middle of its call: that is its default, too.
    const client = new Database(join(folder, 'sessions.db'), { timeout: 5_000 })
    const Class = (require('better-sqlite3-session-store') as Factory<object>)(session)
    return {
      store: new Class({ client }),
      close: () => {
        client.close()
      },
    }
  },

  'connect-dynamodb': ({ port, prefix }) => {
    const { DynamoDBClient } = require('@aws-sdk/client-dynamodb') as {
      DynamoDBClient: new (options: object) => { destroy(): void }
    }
    const client = new DynamoDBClient({
      endpoint: `http://127.0.0.1:${port}`,
      region: 'eu-central-1',
      credentials: { accessKeyId: 'key', secretAccessKey: 'secret' },
      maxAttempts: 1,
    })
    const Class = (require('connect-dynamodb') as Factory<object>)(session)
    return {
      store: new Class({ client, prefix, table: 'sessions' }),
      close: () => {
        client.destroy()
      },
    }
  },

  memorystore: () => {
    const Class = (require('memorystore') as Factory<object>)(session)
    return { store: new Class({}), close: ignoreErrors }
  },
} satisfies Record<string, Opener>

export type StoreName = keyof typeof openers

export async function openStore(name: StoreName, place: Place): Promise<OpenStore> {
  return await openers[name](place)
}
