/*
 * Which kind of client a connect-redis store has.
 */
import type { RedisClusterType, RedisSentinelType } from 'redis'

import { Cluster } from './cluster.js'
import type { ConnectRedisStore } from './connect-redis-store.js'
import type { Deployment, DeploymentListener } from './deployment.js'
import type { CallLimits, RedisClient } from './dedicated-client.js'
import { SentinelMaster } from './sentinel.js'
import { SingleServer } from './single-server.js'

/** @throws {TypeError} for anything but a connect-redis store on a client of `redis`. */
export function deploymentOf(store: ConnectRedisStore, limits: CallLimits, listener: DeploymentListener): Deployment {
  const client: unknown = (store as Partial<ConnectRedisStore> | undefined)?.client
  if (isObject(client) && 'withCommandOptions' in client && typeof store.serializer === 'object') {
    if ('masters' in client) return new Cluster(client as RedisClusterType, limits, listener)
    if ('getMasterNode' in client) return new SentinelMaster(client as RedisSentinelType, limits, listener)
    if ('duplicate' in client && 'options' in client) return new SingleServer(client as RedisClient, limits, listener)
  }
  throw new TypeError(
    'redisLiveStore takes a connect-redis store (`new RedisStore({ client })`) on a client of `redis`: one of ' +
      '`createClient`, `createCluster` or `createSentinel`.',
  )
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
