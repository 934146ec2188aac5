import { RedisStore } from 'connect-redis'
import { createCluster } from 'redis'
import { beforeAll } from 'vitest'
import { redisLiveStore } from 'ws-session-bridge/redis'
import { atEnd } from '../support/at-end.js'
import { startRedisCluster, startRedisStore, type RedisCluster } from '../support/redis.js'
import { describeLiveStore } from '../store/live-store-suite.js'

let cluster: RedisCluster
beforeAll(async () => {
  cluster = await startRedisCluster()
})

describeLiveStore('redisLiveStore on a Cluster', async () => {
  const { store } = await startRedisStore(cluster)
  return { store, live: redisLiveStore(store) }
})

describeLiveStore('redisLiveStore on a Cluster with a ttl for each session', async () => {
  const { client, prefix } = await startRedisStore(cluster)
  const store = new RedisStore({ client, prefix, ttl: ({ cookie }) => (cookie.originalMaxAge === null ? 600 : 30) })
  return { store, live: redisLiveStore(store) }
})

/* Known by one node, connected on demand, under other addresses than their own, with a prefix of the client. */
describeLiveStore('redisLiveStore on a Cluster that is reached by other addresses', async () => {
  const { prefix } = await startRedisStore(cluster)
  const client = createCluster({
    rootNodes: [cluster.rootNodes[0]!],
    minimizeConnections: true,
    keyPrefix: prefix,
    nodeAddressMap: (address) => ({ host: 'localhost', port: Number(address.split(':')[1]) }),
  })
  await client.connect()
  atEnd(() => {
    client.destroy()
  })
  const store = new RedisStore({ client, prefix: '' })
  return { store, live: redisLiveStore(store) }
})
