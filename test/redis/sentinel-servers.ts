// a master with a replica and a Sentinel, and a store on them.
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RedisStore } from 'connect-redis'
import { createClient, createSentinel } from 'redis'
import { vi } from 'vitest'
import { atEnd } from '../support/at-end.js'
import { freePort, spawnRedisServer } from '../support/redis-server.js'
import { startRedisServer } from '../support/redis.js'

/** A master with a replica, and a Sentinel that watches them. By default no replica takes over, however slow the machine. */
export async function startSentinel({ failsOver = false } = {}) {
  const master = await startRedisServer()
  const replica = await startRedisServer({
    args: ['--replicaof', '127.0.0.1', String(master.port), '--repl-diskless-sync-delay', '0'],
  })
  const follower = createClient({ url: replica.url }).on('error', () => undefined)
  await follower.connect()
  atEnd(() => {
    follower.destroy()
  })
  const follows = async () => (await follower.info('replication')).includes('master_link_status:up')
  await vi.waitUntil(follows, { timeout: 10_000 })

  const folder = await mkdtemp(join(tmpdir(), 'ws-session-bridge-sentinel-'))
  atEnd(() => rm(folder, { recursive: true }))
  const config = join(folder, 'sentinel.conf')
  const port = await freePort()
  await writeFile(
    config,
    [
      `sentinel monitor main 127.0.0.1 ${master.port} 1`,
      `sentinel down-after-milliseconds main ${failsOver ? 500 : 30_000}`,
      'sentinel failover-timeout main 2000',
    ].join('\n'),
  )
  const sentinel = await spawnRedisServer({ port, config, args: ['--sentinel'] })
  atEnd(() => sentinel.stop())
  return { master, replica, sentinel }
}

export async function startSentinelStore({ sentinel: { port } }: Awaited<ReturnType<typeof startSentinel>>) {
  const client = createSentinel({ name: 'main', sentinelRootNodes: [{ host: '127.0.0.1', port }], scanInterval: 500 })
  client.on('error', () => undefined)
  await client.connect()
  atEnd(() => client.destroy())
  return { client, store: new RedisStore({ client, prefix: `test:${randomUUID()}:` }) }
}
