import { randomUUID } from 'node:crypto'
import ConnectRedis7 from 'connect-redis-7'
import { RedisStore as ConnectRedis8 } from 'connect-redis-8'
import { RedisStore } from 'connect-redis'
import { Redis } from 'ioredis'
import { createClient, createCluster } from 'redis'
import { createClient as createClient4 } from 'redis-4'
import { createClient as createClient5, createCluster as createCluster5 } from 'redis-5'
import {
  createClient as createClient58,
  createCluster as createCluster58,
  createSentinel as createSentinel58,
} from 'redis-5-8'
import { beforeAll, describe, expect, it } from 'vitest'
import { redisLiveStore, type ConnectRedisStore, type RedisLiveClient } from 'ws-session-bridge/redis'
import { describeLiveStore } from '../store/live-store-suite.js'
import { startApp } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { open } from '../support/client.js'
import { redisUrl, startRedisCluster, startRedisServer, type RedisCluster } from '../support/redis.js'

interface Closable {
  connect(): Promise<unknown>
}

async function connected<C extends Closable>(client: C, end: (client: C) => unknown): Promise<C> {
  await client.connect()
  atEnd(() => end(client))
  return client
}

const with4 = (url = redisUrl()) => connected(createClient4({ url }), (client) => client.disconnect())
const with5 = (url = redisUrl()) =>
  connected(createClient5({ url }), (client) => {
    client.destroy()
  })
const with6 = (url = redisUrl(), options: Parameters<typeof createClient>[0] = {}) =>
  connected(createClient({ ...options, url }), (client) => {
    client.destroy()
  })
const withIoredis = (url = redisUrl(), keyPrefix?: string) => {
  const client = new Redis(url, keyPrefix === undefined ? {} : { keyPrefix })
  atEnd(() => {
    client.disconnect()
  })
  return Promise.resolve(client)
}

const prefix = () => `test:${randomUUID()}:`

const pairs: Record<string, () => Promise<{ store: ConnectRedisStore; client?: RedisLiveClient }>> = {
  'connect-redis 7 on redis 4, with a client of redis 6': async () => ({
    store: new ConnectRedis7({ client: await with4(), prefix: prefix(), ttl: 3600 }),
    client: await with6(),
  }),
  'connect-redis 7 on redis 4, with a client of redis 5': async () => ({
    store: new ConnectRedis7({ client: await with4(), prefix: prefix(), ttl: 3600 }),
    client: await with5(),
  }),
  'connect-redis 8 on redis 5, with the same client': async () => {
    const client = await with5()
    return {
      store: new ConnectRedis8({ client, prefix: prefix(), ttl: 3600 }),
      client,
    }
  },
  'connect-redis 8 on ioredis, with a client of redis 6': async () => ({
    store: new ConnectRedis8({ client: await withIoredis(), prefix: prefix(), ttl: 3600 }),
    client: await with6(),
  }),
  'connect-redis 8 on ioredis with a key prefix, with a client of redis 6 that has another one': async () => ({
    store: new ConnectRedis8({ client: await withIoredis(undefined, prefix()), prefix: 'sess:', ttl: () => 3600 }),
    client: await with6(undefined, { keyPrefix: 'other:' }),
  }),
  'connect-redis 7 on ioredis with a key prefix, and no prefix of its own': async () => ({
    store: new ConnectRedis7({ client: await withIoredis(undefined, prefix()), prefix: '' }),
    client: await with6(),
  }),
  'connect-redis 9 on redis 5': async () => ({
    store: new RedisStore({ client: await with5(), prefix: prefix(), ttl: 3600 }),
  }),
}

for (const [name, start] of Object.entries(pairs)) {
  describeLiveStore(`redisLiveStore of ${name}`, async () => {
    const { store, client } = await start()
    return { store, live: redisLiveStore(store, { client }) }
  })
}

describe('a store on a Cluster', () => {
  let cluster: RedisCluster
  beforeAll(async () => {
    cluster = await startRedisCluster()
  })

  describeLiveStore('redisLiveStore of connect-redis 9 on a Cluster of redis 5', async () => {
    const client = createCluster5({ rootNodes: [...cluster.rootNodes] })
    await client.connect()
    atEnd(() => {
      client.destroy()
    })
    const store = new RedisStore({ client, prefix: prefix(), ttl: 3600 })
    return { store, live: redisLiveStore(store) }
  })

  describeLiveStore('redisLiveStore of connect-redis 8 on a Cluster of ioredis', async () => {
    const { Cluster } = await import('ioredis')
    const nodes = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }))
    const old = new Cluster(nodes, { keyPrefix: prefix() })
    atEnd(() => {
      old.disconnect()
    })
    const client = createCluster({ rootNodes: [...cluster.rootNodes] })
    await client.connect()
    atEnd(() => {
      client.destroy()
    })
    const store = new ConnectRedis8({ client: old, ttl: 3600 })
    return { store, live: redisLiveStore(store, { client }) }
  })
})

describe('a store that hides its client', () => {
  it('is live for an app: its logout closes the sockets of another process', async () => {
    const { url } = await startRedisServer()
    const keyPrefix = 'app:'
    const store = new ConnectRedis8({ client: await withIoredis(url, keyPrefix) })
    const app = await startApp({ store, bridge: { live: redisLiveStore(store, { client: await with6(url) }) } })
    const cookie = await app.login('ada')
    const { closed } = await open(app.wsUrl, { cookie })
    const elsewhere = await with6(url)
    expect(await elsewhere.del(`app:sess:${app.bridge.readSessionID(cookie)!}`)).toBe(1)
    expect((await closed).code).toBe(4401)
    expect(app.faults).toEqual([])
  })

  it('whose client is away is unavailable until it is back, and then has the prefix that it should', async () => {
    const { url } = await startRedisServer()
    let isAway = true
    const ioredis = await withIoredis(url, 'app:')
    const store = new ConnectRedis8({ client: ioredis })
    const { expire } = store.client
    store.client.expire = (key, ttl) => (isAway ? Promise.reject(new Error('connect ECONNREFUSED')) : expire(key, ttl))
    const live = redisLiveStore(store, { client: await with6(url) })
    atEnd(() => live.close())
    await ioredis.set('sess:id', JSON.stringify({ user: 'ada', cookie: { originalMaxAge: 60_000, expires: null } }))
    await expect(live.get('id')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    isAway = false
    expect((await live.get('id'))?.record).toMatchObject({ user: 'ada' })
  })
})

describe('redisLiveStore', () => {
  it.each([
    ['of connect-redis 7', () => new ConnectRedis7({ client: createClient4() }), /connect-redis 7 or 8/],
    ['of connect-redis 8', () => new ConnectRedis8({ client: createClient5() }), /connect-redis 7 or 8/],
    ['on a client of redis 4', () => new RedisStore({ client: createClient4() }), /on a client of redis 4/],
    [
      'on a client of redis 5.8, which would never hear of a change',
      () => new RedisStore({ client: createClient58() }),
      /on a client of redis 5\.0 to 5\.8/,
    ],
    [
      'on a Cluster of redis 5.8',
      () => new RedisStore({ client: createCluster58({ rootNodes: [{ url: 'redis://127.0.0.1:1' }] }) }),
      /on a client of redis 5\.0 to 5\.8/,
    ],
    [
      'on a Sentinel of redis 5.8',
      () =>
        new RedisStore({
          client: createSentinel58({ name: 'main', sentinelRootNodes: [{ host: '127.0.0.1', port: 1 }] }),
        }),
      /on a client of redis 5\.0 to 5\.8/,
    ],
    [
      'on a client of ioredis',
      () => new RedisStore({ client: new Redis({ lazyConnect: true }) }),
      /on a client of ioredis/,
    ],
  ])('throws a TypeError for a store %s, which names it and the lines that work', (_what, start, found) => {
    const make = () => redisLiveStore(start())
    expect(make).toThrow(TypeError)
    expect(make).toThrow(found)
    expect(make).toThrow('redisLiveStore(store, { client })')
  })

  it.each([
    ['redis 4', createClient4(), 'a client of redis 4'],
    ['redis 5.8', createClient58(), 'a client of redis 5.0 to 5.8'],
    ['ioredis', new Redis({ lazyConnect: true }), 'a client of ioredis'],
    ['nothing', null, 'null'],
  ])('throws a TypeError for a `client` of %s', (_what, client, found) => {
    const store = new ConnectRedis8({ client: createClient5() })
    const make = () => redisLiveStore(store, { client: client as never })
    expect(make).toThrow(TypeError)
    expect(make).toThrow(`\`client\` must be a client of \`redis\` 5.9 or newer, found ${found}`)
  })
})
