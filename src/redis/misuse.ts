/*
 * What redisLiveStore says of a store or a client that it cannot use.
 */
import { isObject } from '../internal/is-object.js'
import { hidesItsClient, type ConnectRedisStore } from './connect-redis-store.js'
import { tellsInvalidations } from './deployment-of.js'

/** @throws {TypeError} for what is no connect-redis store of any version. */
export function assertConnectRedisStore(store: unknown): asserts store is ConnectRedisStore {
  if (!isConnectRedisStore(store)) throw new TypeError(`${takes} Found ${describeStore(store)}.`)
}

/** For a connect-redis store whose client is none that can be used. */
export function storeClientError(store: ConnectRedisStore): TypeError {
  const found = hidesItsClient(store)
    ? 'a store of connect-redis 7 or 8, which does not show its client'
    : `a connect-redis store on ${describeClient(store.client)}`
  return new TypeError(`${takes} Found ${found}. ${secondClient}`)
}

/** For a wrong option `client`. */
export function clientError(client: unknown): TypeError {
  return new TypeError(
    `redisLiveStore: \`client\` must be a client of \`redis\` 5.9 or newer, found ${describeClient(client)}. ${secondClient}`,
  )
}

const takes =
  'redisLiveStore takes a connect-redis store (`new RedisStore({ client })`) on a client of `redis` 5.9 or newer: one of ' +
  '`createClient`, `createCluster` or `createSentinel`.'

const secondClient =
  'Give it a client of `redis` 5.9 or newer, made by `createClient`, `createCluster` or `createSentinel`, to the same servers and the ' +
  "same database:\n  import { createClient } from 'redis'\n  const client = await createClient({ url }).connect()\n" +
  '  redisLiveStore(store, { client })\nOr let connect-redis 9 or newer have that client: `new RedisStore({ client })`.'

function isConnectRedisStore(store: unknown): store is ConnectRedisStore {
  if (!isObject(store)) return false
  const { client, prefix, serializer } = store as Partial<ConnectRedisStore>
  return isObject(client) && typeof prefix === 'string' && typeof serializer?.parse === 'function'
}

function describeStore(store: unknown): string {
  if (store === undefined || store === null) return String(store)
  if (!isObject(store)) return `a ${typeof store}`
  return 'withCommandOptions' in store ? 'a client without a store' : 'a store of another kind'
}

function describeClient(client: unknown): string {
  if (client === undefined || client === null) return String(client)
  if (!isObject(client)) return `a ${typeof client}`
  if (tellsInvalidations(client)) return 'a pool of clients (`createClientPool`)'
  if ('withCommandOptions' in client) return 'a client of redis 5.0 to 5.8, which does not tell of invalidations'
  if ('status' in client && 'defineCommand' in client) return 'a client of ioredis'
  if ('sendCommand' in client && 'isOpen' in client) return 'a client of redis 4'
  if ('server_info' in client) return 'a client of redis 3 or older'
  return 'a client of another kind'
}
