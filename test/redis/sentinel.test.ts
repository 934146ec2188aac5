import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RedisStore } from 'connect-redis'
import { createClient, createSentinel } from 'redis'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { redisLiveStore } from 'ws-session-bridge/redis'
import { atEnd } from '../support/at-end.js'
import { startApp } from '../support/app.js'
import { open, refused } from '../support/client.js'
import { freePort, spawnRedisServer } from '../support/redis-server.js'
import { startRedisServer } from '../support/redis.js'
import { describeLiveStore } from '../store/live-store-suite.js'

/** A master with a replica, and a Sentinel that watches them. */
async function startSentinel() {
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
      'sentinel down-after-milliseconds main 500',
      'sentinel failover-timeout main 2000',
    ].join('\n'),
  )
  const sentinel = await spawnRedisServer({ port, config, args: ['--sentinel'] })
  atEnd(() => sentinel.stop())
  return { master, replica, sentinel }
}

async function startStore({ sentinel: { port } }: Awaited<ReturnType<typeof startSentinel>>) {
  const client = createSentinel({ name: 'main', sentinelRootNodes: [{ host: '127.0.0.1', port }], scanInterval: 500 })
  client.on('error', () => undefined)
  await client.connect()
  atEnd(() => client.destroy())
  return { client, store: new RedisStore({ client, prefix: `test:${randomUUID()}:` }) }
}

describe('a master behind a Sentinel', () => {
  let servers: Awaited<ReturnType<typeof startSentinel>>
  beforeAll(async () => {
    servers = await startSentinel()
  })

  describeLiveStore('redisLiveStore on a Sentinel', async () => {
    const { store } = await startStore(servers)
    return { store, live: redisLiveStore(store) }
  })
})

describe('a master that is gone', () => {
  it('is followed by its replica: sockets stay, and changes are heard again', async () => {
    const servers = await startSentinel()
    const { client, store } = await startStore(servers)
    const app = await startApp({ store, bridge: { live: redisLiveStore(store, { timeoutMs: 300 }) } })
    const cookie = await app.login('ada')
    const { closed, ws } = await open(app.wsUrl, { cookie })
    const [context] = [...app.bridge.connections()]
    await client._execute(false, (each) => each.sendCommand(['WAIT', '1', '1000']))

    servers.master.kill('SIGKILL')
    const accepted = async () => (await open(app.wsUrl, { cookie }).catch(() => undefined)) !== undefined
    await expect.poll(async () => (await refused(app.wsUrl, { cookie })).status).toBe(503)
    await expect.poll(accepted, { timeout: 20_000 }).toBe(true)
    expect(context!.ended).toBeUndefined()
    expect(ws.readyState).toBe(ws.OPEN)

    await expect.poll(() => client.isReady, { timeout: 10_000 }).toBe(true)
    await app.call('POST', '/set?key=role&value=admin', cookie)
    await expect.poll(() => context!.session.role).toBe('admin')
    await context!.update((draft) => void (draft.views = 1))
    await app.call('POST', '/logout', cookie)
    expect((await closed).code).toBe(4401)
    expect(app.faults).toEqual([])
  })
})
