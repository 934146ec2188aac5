/*
 * Which kind of client the bridge is given.
 */
import type { RedisClusterType, RedisSentinelType } from 'redis'

import { Cluster } from './cluster.js'
import type { Deployment, DeploymentListener } from './deployment.js'
import type { CallLimits, RedisClient } from './dedicated-client.js'
import { SentinelMaster } from './sentinel.js'
import { SingleServer } from './single-server.js'

/** Undefined for anything but a client of `redis` 5 or newer: by what it has, since its class is that of any copy of the package. */
export function deploymentOf(
  client: unknown,
  limits: CallLimits,
  listener: DeploymentListener,
): Deployment | undefined {
  if (!isObject(client) || !('withCommandOptions' in client)) return undefined
  if ('masters' in client) return new Cluster(client as RedisClusterType, limits, listener)
  if ('getMasterNode' in client) return new SentinelMaster(client as RedisSentinelType, limits, listener)
  if ('duplicate' in client && 'options' in client) return new SingleServer(client as RedisClient, limits, listener)
  return undefined
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
