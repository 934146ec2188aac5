// A store on each kind of Redis, and what makes it live.
import { RedisStore } from 'connect-redis'
import { createClient, createCluster, createSentinel } from 'redis'
import { redisLiveStore } from 'ws-session-bridge/redis'

export async function onOneServer(url: string) {
  // #region docs
  // Without a listener of 'error', a lost connection ends the process. Without the second option, calls wait for Redis to return.
  const client = await createClient({ url, disableOfflineQueue: true }).on('error', console.error).connect()
  const store = new RedisStore({ client })
  const live = redisLiveStore(store)
  // #endregion
  return { client, store, live }
}

export async function onCluster(rootNodes: { url: string }[]) {
  // #region docs
  const client = await createCluster({ rootNodes }).on('error', console.error).connect()
  const store = new RedisStore({ client })
  const live = redisLiveStore(store)
  // #endregion
  return { client, store, live }
}

export async function onSentinel(sentinelRootNodes: { host: string; port: number }[]) {
  // #region docs
  const client = await createSentinel({ name: 'main', sentinelRootNodes }).on('error', console.error).connect()
  const store = new RedisStore({ client })
  const live = redisLiveStore(store)
  // #endregion
  return { client, store, live }
}
