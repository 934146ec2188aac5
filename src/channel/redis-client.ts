/*
 * Telling the clients for Redis apart, by what they have: their classes are those of whichever copy the app has installed.
 */
import { createIoredisSubscriber, type IoredisClient } from './ioredis-subscriber.js'
import { createNodeRedisSubscriber, type NodeRedisClient } from './node-redis-subscriber.js'
import type { RedisSubscriber, SubscriberSettings } from './redis-subscriber.js'

/** A client of the package `redis` (versions 4 to 6) or of `ioredis`, for one server, a Cluster or a master behind Sentinels. */
export interface RedisChannelClient {
  /** Tells a message. Rejects when it cannot. */
  publish(channel: string, message: string): Promise<unknown>
  /** Makes another client with the same settings. */
  duplicate(...args: never[]): unknown
}

/** Makes a connection of its own to where the client is connected. Throws where there is nothing yet to connect to. */
export type CreateSubscriber = (settings: SubscriberSettings) => RedisSubscriber

/**
 * A Cluster tells every message on every node, so any one of them will do.
 *
 * @throws {TypeError} for what is neither.
 */
export function subscriberOn(client: unknown): CreateSubscriber {
  if (isObject(client) && hasMethods(client, 'publish', 'duplicate')) {
    if (client.isCluster === true && hasMethods(client, 'nodes')) {
      return (settings) => createIoredisSubscriber(anyOf(ioredisNodes(client)), settings)
    }
    if (typeof client.status === 'string' && hasMethods(client, 'disconnect', 'subscribe')) {
      return (settings) => createIoredisSubscriber(client as unknown as IoredisClient, settings)
    }
    if (typeof client.isOpen === 'boolean' && hasMethods(client, 'subscribe')) {
      const { masters } = client
      if (masters !== undefined) return (settings) => createNodeRedisSubscriber(anyOf(nodeRedisNodes(client)), settings)
      if (isObject(client.options)) {
        return (settings) => createNodeRedisSubscriber(client as unknown as NodeRedisClient, settings)
      }
    }
  }
  throw new TypeError(
    'redisChannel: the client must be one of the package `redis` (4 to 6; `createClient`, `createCluster`) or of `ioredis`.',
  )
}

function ioredisNodes(cluster: object): IoredisClient[] {
  const nodes = (cluster as { nodes(role: string): IoredisClient[] }).nodes('all')
  return nodes.filter(({ status }) => status === 'ready')
}

function nodeRedisNodes(cluster: object): NodeRedisClient[] {
  const { masters, replicas } = cluster as Record<'masters' | 'replicas', { client?: unknown }[] | undefined>
  const clients = [...(masters ?? []), ...(replicas ?? [])].map(({ client }) => client)
  // A node that is being connected is a promise in some versions.
  return clients.filter((client): client is NodeRedisClient => isObject(client) && client.isReady === true)
}

/* By chance, so that a node that is lost is not tried forever. */
function anyOf<T>(nodes: readonly T[]): T {
  const node = nodes[Math.floor(Math.random() * nodes.length)]
  if (node === undefined) throw new Error('The client knows no node of the Cluster that is there.')
  return node
}

function hasMethods(object: Record<string, unknown>, ...names: readonly string[]): boolean {
  return names.every((name) => typeof object[name] === 'function')
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
