/*
 * A connect-redis store with keys of its own.
 */
import { randomUUID } from 'node:crypto'

import { RedisStore } from 'connect-redis'
import { createClient } from 'redis'

export async function openRedisStore(url: string, prefix = `bench:${randomUUID()}:`) {
  const client = await createClient({ url }).connect()
  const store = new RedisStore({ client, prefix, ttl: 3_600 })
  return {
    store,
    client,
    prefix,
    /** A figure of INFO, such as `total_commands_processed`. */
    async info(name: string): Promise<number> {
      return Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(await client.info())?.[1])
    },
    async close(): Promise<void> {
      for await (const keys of client.scanIterator({ MATCH: `${prefix}*`, COUNT: 1_000 })) {
        if (keys.length > 0) await client.unlink(keys)
      }
      client.destroy()
    },
  }
}
