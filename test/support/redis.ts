// In: a test that needs Redis. Out: a server of its own, or a store on the shared one under a prefix of its own.
import { randomUUID } from 'node:crypto'
import { RedisStore } from 'connect-redis'
import { createClient } from 'redis'
import { inject } from 'vitest'
import { atEnd } from './at-end.js'
import { spawnRedisServer, type RedisServer, type RedisServerOptions } from './redis-server.js'

export type { RedisServer, RedisServerOptions }

/** A Redis server of the test's own, stopped at its end. */
export async function startRedisServer(options?: RedisServerOptions): Promise<RedisServer> {
  const server = await spawnRedisServer(options)
  atEnd(() => server.stop())
  return server
}

/** The server that all tests share: use prefixes, flush nothing. */
export function redisUrl(): string {
  return inject('redisUrl')
}

/** A connect-redis store with a prefix of its own; its client is closed at the test's end. */
export async function startRedisStore(url = redisUrl()) {
  const client = createClient({ url })
  // A server that a fault test stops is no error of the test.
  client.on('error', () => undefined)
  await client.connect()
  atEnd(() => {
    client.destroy()
  })
  const prefix = `test:${randomUUID()}:`
  return { client, prefix, store: new RedisStore({ client, prefix, ttl: 3600 }) }
}
