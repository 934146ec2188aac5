import { randomUUID } from 'node:crypto'
import { Cluster as IoredisCluster, Redis } from 'ioredis'
import { createClient, createCluster } from 'redis'
import { createClient as createClient4, createCluster as createCluster4 } from 'redis-4'
import { createClient as createClient5, createCluster as createCluster5 } from 'redis-5'
import { beforeAll, describe, expect, it } from 'vitest'
import { redisChannel, type RedisChannelClient } from '../../src/redis.js'
import { atEnd } from '../support/at-end.js'
import { redisUrl, startRedisCluster, startRedisServer, type RedisCluster } from '../support/redis.js'
import { describeChannel, opened } from './channel-suite.js'

/** A client of the app, connected, and closed at the test's end. */
type StartClient = (url: string) => Promise<RedisChannelClient>

interface NodeRedis extends RedisChannelClient {
  on(event: 'error', listener: () => void): unknown
  connect(): Promise<unknown>
  destroy?(): void
  disconnect?(): Promise<void>
}

async function connected(client: NodeRedis): Promise<RedisChannelClient> {
  client.on('error', () => undefined)
  await client.connect()
  atEnd(async () => {
    if (client.destroy) client.destroy()
    else await client.disconnect?.().catch(() => undefined)
  })
  return client
}

function ready(client: Redis | IoredisCluster): Promise<RedisChannelClient> {
  client.on('error', () => undefined)
  atEnd(() => {
    client.disconnect()
  })
  return new Promise((resolve) => client.once('ready', () => resolve(client)))
}

const clients: Record<string, StartClient> = {
  'redis 4': (url) => connected(createClient4({ url })),
  'redis 5': (url) => connected(createClient5({ url })),
  'redis 6': (url) => connected(createClient({ url })),
  'redis 6 with RESP 2': (url) => connected(createClient({ url, RESP: 2 })),
  ioredis: (url) => ready(new Redis(url)),
  'ioredis with a keyPrefix': (url) => ready(new Redis(url, { keyPrefix: 'app:' })),
}

describe.each(Object.entries(clients))('redisChannel on a client of %s', (name, startClient) => {
  describeChannel('on one server', async () => {
    const client = await startClient(redisUrl())
    const channelName = `test:${randomUUID()}`
    return {
      connect: () => redisChannel(client, { name: channelName }),
      connectElsewhere: () => redisChannel(client, { name: `${channelName}:other` }),
    }
  })

  it('hears a client of another kind', async () => {
    const channelName = `test:${randomUUID()}`
    const one = await opened(redisChannel(await startClient(redisUrl()), { name: channelName }))
    const two = await opened(redisChannel(await clients['redis 6']!(redisUrl()), { name: channelName }))
    await one.channel.publish('from one')
    await two.channel.publish('from two')
    await one.heard('from two')
    await two.heard('from one')
  })

  it('reports a gap when the server that was killed is back, and goes on', async () => {
    const server = await startRedisServer()
    const [one, two] = await Promise.all([
      opened(redisChannel(await startClient(server.url))),
      opened(redisChannel(await startClient(server.url))),
    ])
    await server.stop()
    await expect(one.channel.publish('lost')).rejects.toMatchObject({ code: 'CHANNEL_UNAVAILABLE' })
    const gaps = [one.nextGap(), two.nextGap()]
    await startRedisServer({ port: server.port })
    await Promise.all(gaps)
    await expect
      .poll(() =>
        one.channel.publish('back').then(
          () => true,
          () => false,
        ),
      )
      .toBe(true)
    await two.heard('back')
  })

  it('rejects within the deadline while the server is stopped, and reports a gap when it goes on', async () => {
    const server = await startRedisServer()
    const [one, two] = await Promise.all([
      opened(redisChannel(await startClient(server.url), { timeoutMs: 400 })),
      opened(redisChannel(await startClient(server.url), { timeoutMs: 400 })),
    ])
    server.kill('SIGSTOP')
    const since = performance.now()
    await expect(one.channel.publish('lost')).rejects.toMatchObject({ code: 'CHANNEL_UNAVAILABLE' })
    // By default it would be two seconds.
    expect(performance.now() - since).toBeLessThan(1_900)
    // Nothing is told on the listening connection, which is looked at every five deadlines.
    await new Promise((resolve) => setTimeout(resolve, 4_000))
    const gaps = [one.nextGap(), two.nextGap()]
    server.kill('SIGCONT')
    await Promise.all(gaps)
    await expect
      .poll(() =>
        one.channel.publish('back').then(
          () => true,
          () => false,
        ),
      )
      .toBe(true)
    await two.heard('back')
  })

  it(`tells what is wrong where ${name} may not listen`, async () => {
    const server = await startRedisServer()
    const admin = await connected(createClient({ url: server.url }))
    await (admin as unknown as { sendCommand(args: string[]): Promise<unknown> }).sendCommand([
      'ACL',
      'SETUSER',
      'app',
      'on',
      '>pass',
      '+@all',
      'resetchannels',
      '~*',
    ])
    const channel = redisChannel(await startClient(server.url.replace('//', '//app:pass@')))
    atEnd(() => channel.close())
    const told = new Promise<Error>((resolve) => {
      ;(channel as unknown as { onFault(listener: (error: Error) => void): void }).onFault(resolve)
    })
    channel.subscribe(
      () => undefined,
      () => undefined,
    )
    expect(String((await told).cause)).toContain('NOPERM')
  })
})

describe('redisChannel on a Cluster', () => {
  let cluster: RedisCluster
  beforeAll(async () => {
    cluster = await startRedisCluster()
  })
  const clusterClients: Record<string, () => Promise<RedisChannelClient>> = {
    'redis 4': () => connected(createCluster4({ rootNodes: [...cluster.rootNodes] })),
    'redis 5': () => connected(createCluster5({ rootNodes: [...cluster.rootNodes] })),
    'redis 6': () => connected(createCluster({ rootNodes: [...cluster.rootNodes] })),
    ioredis: () => ready(new IoredisCluster(cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port })))),
  }

  for (const [name, startClient] of Object.entries(clusterClients)) {
    describeChannel(`with ${name}`, async () => {
      const client = await startClient()
      const channelName = `test:${randomUUID()}`
      return {
        connect: () => redisChannel(client, { name: channelName }),
        connectElsewhere: () => redisChannel(client, { name: `${channelName}:other` }),
      }
    })
  }
})

describe('redisChannel', () => {
  it.each([undefined, null, {}, { publish() {}, duplicate() {} }, 'redis://localhost'])(
    'throws a TypeError for what is no client: %o',
    (client) => {
      expect(() => redisChannel(client as unknown as RedisChannelClient)).toThrow(/redisChannel: the client must be/)
    },
  )

  it('throws a TypeError for options that are wrong or unknown', async () => {
    const client = await clients['redis 6']!(redisUrl())
    for (const options of [{ name: '' }, { name: 'x'.repeat(64) }, { timeoutMs: 0 }, { nam: 'x' }]) {
      expect(() => redisChannel(client, options)).toThrow(TypeError)
    }
  })
})
