/*
 * Which kind of client the bridge is given.
 */
import type { RedisClusterType, RedisSentinelType } from 'redis'

import { isObject } from '../internal/is-object.js'
import { Cluster } from './cluster.js'
import type { Deployment, DeploymentListener } from './deployment.js'
import type { CallLimits, RedisClient } from './dedicated-client.js'
import { SentinelMaster } from './sentinel.js'
import { Server } from './server.js'

/** Undefined for anything but a client of `redis` 5.9 or newer: by what it has, since its class is that of any copy of the package. */
export function deploymentOf(
  client: unknown,
  limits: CallLimits,
  listener: DeploymentListener,
): Deployment | undefined {
  if (!isObject(client) || !tellsInvalidations(client)) return undefined
  if ('masters' in client) return new Cluster(client as RedisClusterType, limits, listener)
  if ('getMasterNode' in client) return new SentinelMaster(client as RedisSentinelType, limits, listener)
  if ('duplicate' in client && 'options' in client)
    return new Server({ ...limits, client: client as RedisClient }, listener)
  return undefined
}

/*
 * 5.0 to 5.8 have no `emitInvalidate`: the bridge would connect, and never hear of a change. The command below came with it,
 * in 5.9, to clients of every kind.
 */
export function tellsInvalidations(client: object): boolean {
  return 'withCommandOptions' in client && 'latencyReset' in client
}
