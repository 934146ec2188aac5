import { createClient } from 'redis'
import { RedisStore } from 'connect-redis'
import { describe, expect, it } from 'vitest'
import { redisLiveStore, type ConnectRedisStore, type RedisLiveStoreOptions } from 'ws-session-bridge/redis'
import type { Transport } from '../../src/channel/channel.js'
import { atEnd } from '../support/at-end.js'
import { startClusterClient, startRedisCluster, startRedisServer, startRedisStore } from '../support/redis.js'
import { startProxy } from './proxy.js'
import { startSentinel, startSentinelStore } from './sentinel-servers.js'

const timeoutMs = 500

function listen(store: ConnectRedisStore, options: RedisLiveStoreOptions = {}) {
  const live = redisLiveStore(store, { timeoutMs, ...options })
  atEnd(() => live.close())
  const { channel } = live as unknown as { channel: Transport }
  const heard: string[] = []
  const faults: Error[] = []
  let gaps = 0
  channel.onFault((error) => faults.push(error))
  channel.subscribe(
    (message) => heard.push(message),
    () => {
      gaps += 1
    },
  )
  const listens = () => expect.poll(() => gaps, { timeout: 20_000 }).toBeGreaterThan(0)
  return { live, channel, heard, faults, listens, gaps: () => gaps }
}

/** Tells until it is heard: a server that is lost takes messages with it. */
async function tellsEach(one: ReturnType<typeof listen>, other: ReturnType<typeof listen>, message: string) {
  const told = async () => {
    await one.channel.publish(message).catch(() => undefined)
    return other.heard.includes(message)
  }
  await expect.poll(told, { timeout: 30_000, interval: 100 }).toBe(true)
}

async function adminOf(url: string) {
  const admin = createClient({ url })
  await admin.connect()
  atEnd(() => {
    admin.destroy()
  })
  return admin
}

describe('the channel of redisLiveStore', () => {
  it('takes no connection of its own, and tells of a gap each time that its connection was lost', async () => {
    const { url } = await startRedisServer()
    const admin = await adminOf(url)
    const { client, prefix } = await startRedisStore(url)
    const [one, other] = [1, 2].map(() => listen(new RedisStore({ client, prefix }))) as [
      ReturnType<typeof listen>,
      ReturnType<typeof listen>,
    ]
    await Promise.all([one.listens(), other.listens()])
    expect(await one.live.get('id')).toBeUndefined()
    const connections = (await admin.sendCommand<string>(['CLIENT', 'LIST'])).trim().split('\n')
    // The admin's, the store's, and one of each LiveStore.
    expect(connections).toHaveLength(4)
    await tellsEach(one, other, 'hello')
    await tellsEach(other, one, 'hello back')

    const before = other.gaps()
    await admin.sendCommand(['CLIENT', 'KILL', 'SKIPME', 'yes'])
    await expect.poll(other.gaps).toBeGreaterThan(before)
    await tellsEach(one, other, 'again')
    expect([...one.faults, ...other.faults]).toEqual([])
  })

  it('is that of the prefix, unless another name is given', async () => {
    const { url } = await startRedisServer()
    const { client, prefix } = await startRedisStore(url)
    const same = listen(new RedisStore({ client, prefix }))
    const stranger = listen(new RedisStore({ client, prefix: 'another:' }))
    const named = listen(new RedisStore({ client, prefix: 'third:' }), {
      channelName: `ws-session-bridge:0:${prefix}`,
    })
    await Promise.all([same.listens(), stranger.listens(), named.listens()])
    await tellsEach(named, same, 'hello')
    expect(stranger.heard).toEqual([])
  })

  it('that is forbidden is a fault, and sessions are read and tracked all the same', async () => {
    const { url, port } = await startRedisServer()
    const admin = await adminOf(url)
    await admin.sendCommand(['ACL', 'SETUSER', 'app', 'on', '>password', '~*', '+@all', 'resetchannels'])
    const { store, client, prefix } = await startRedisStore(`redis://app:password@127.0.0.1:${port}`)
    const { live, faults, channel } = listen(store)
    await expect.poll(() => faults.length).toBe(1)
    expect(String(faults[0])).toContain('SUBSCRIBE')
    await client.set(`${prefix}id`, JSON.stringify({ cookie: { originalMaxAge: 1, expires: null } }))
    expect(await live.get('id')).toBeDefined()
    await expect(channel.publish('hello')).rejects.toMatchObject({ code: 'CHANNEL_UNAVAILABLE' })
  })

  it('goes on where CLIENT TRACKING is refused', async () => {
    const { port } = await startRedisServer()
    const proxy = await startProxy(port)
    proxy.answerTracking('NOPERM this user has no permissions')
    const { store } = await startRedisStore(`redis://127.0.0.1:${proxy.port}`)
    const one = listen(store)
    const other = listen(store)
    await Promise.all([one.listens(), other.listens()])
    await tellsEach(one, other, 'hello')
    expect(await one.live.get('id')).toBeUndefined()
  })

  it('rejects within the deadline while the server hangs', async () => {
    const server = await startRedisServer()
    const { store } = await startRedisStore(server.url)
    const { channel, listens } = listen(store)
    await listens()
    server.kill('SIGSTOP')
    const since = performance.now()
    await expect(channel.publish('hello')).rejects.toMatchObject({ code: 'CHANNEL_UNAVAILABLE' })
    expect(performance.now() - since).toBeLessThan(1_900)
    server.kill('SIGCONT')
  })

  it('reaches all processes on a Cluster, also when the node is gone on which one listens', async () => {
    const cluster = await startRedisCluster({ failsOver: true })
    const [one, other] = [
      listen(new RedisStore({ client: await startClusterClient(cluster), prefix: 'sess:' })),
      listen(new RedisStore({ client: await startClusterClient(cluster), prefix: 'sess:' })),
    ]
    await Promise.all([one.listens(), other.listens()])
    await tellsEach(one, other, 'hello')
    const before = other.gaps()
    const subscribed = await Promise.all(
      cluster.nodes.slice(0, 3).map(async (node) => {
        const list = await node.admin.sendCommand<string>(['CLIENT', 'LIST'])
        return { node, count: list.split('\n').filter((line) => line.includes(' sub=1 ')).length }
      }),
    )
    expect(subscribed.reduce((sum, { count }) => sum + count, 0)).toBe(2)
    for (const { node, count } of subscribed) if (count > 0) node.server.kill('SIGKILL')
    await expect.poll(other.gaps, { timeout: 30_000 }).toBeGreaterThan(before)
    await tellsEach(one, other, 'again')
    await tellsEach(other, one, 'again and back')
  })

  it('follows the master that the Sentinels name', async () => {
    const servers = await startSentinel({ failsOver: true })
    const one = listen((await startSentinelStore(servers)).store, { channelName: 'app' })
    const other = listen((await startSentinelStore(servers)).store, { channelName: 'app' })
    await Promise.all([one.listens(), other.listens()])
    await tellsEach(one, other, 'hello')
    const before = other.gaps()
    servers.master.kill('SIGKILL')
    await expect.poll(other.gaps, { timeout: 30_000 }).toBeGreaterThan(before)
    await tellsEach(one, other, 'again')
  })
})
