// a server of its own, or a store on the shared one under a prefix of its own.
import { randomUUID } from 'node:crypto'
import { RedisStore } from 'connect-redis'
import { createClient } from 'redis'
import { inject } from 'vitest'
import { atEnd } from './at-end.js'
import { connectCluster, spawnRedisCluster, type RedisCluster, type RedisClusterOptions } from './redis-cluster.js'
import { spawnRedisServer, type RedisServer, type RedisServerOptions } from './redis-server.js'

export type { RedisCluster, RedisServer, RedisServerOptions }

/** A Redis server of the test's own, stopped at its end. */
export async function startRedisServer(options?: RedisServerOptions): Promise<RedisServer> {
  const server = await spawnRedisServer(options)
  atEnd(() => server.stop())
  return server
}

/** A Cluster of the test's own, or of the file's if it is started outside a test. */
export async function startRedisCluster(options?: RedisClusterOptions): Promise<RedisCluster> {
  const cluster = await spawnRedisCluster(options)
  atEnd(() => cluster.stop())
  return cluster
}

/** A client of the whole Cluster, closed at the test's end. For single keys it is used as that of a single server. */
export async function startClusterClient(cluster: RedisCluster): Promise<RedisClient> {
  const client = await connectCluster(cluster)
  atEnd(() => {
    client.destroy()
  })
  return client as unknown as RedisClient
}

/** An open client. */
export type RedisClient = Awaited<ReturnType<typeof startClient>>

/** The server that all tests share: use prefixes, flush nothing. */
export function redisUrl(): string {
  return inject('redisUrl')
}

/** A connect-redis store with a prefix of its own; its client is closed at the test's end. */
export async function startRedisStore(at: string | RedisCluster = redisUrl()) {
  const client = typeof at === 'string' ? await startClient(at) : await startClusterClient(at)
  const prefix = `test:${randomUUID()}:`
  return { client, prefix, store: new RedisStore({ client, prefix, ttl: 3600 }) }
}

async function startClient(url: string) {
  const client = createClient({ url })
  // A server that a fault test stops is no error of the test.
  client.on('error', () => undefined)
  await client.connect()
  atEnd(() => {
    client.destroy()
  })
  return client
}
