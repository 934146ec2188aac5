/*
 * What stands behind a store's client: one server, a Cluster, or the master that a Sentinel names.
 */
import type { ConnectionOptions, RedisClient } from './dedicated-client.js'
import type { Reading } from './reading.js'

/** Commands that a store's client sends to wherever the key is. */
export type KeyCommands = Pick<RedisClient, 'del' | 'eval' | 'evalSha' | 'expire'>

/** Where to connect for a key, and the name of that place. */
export interface NodeAddress {
  readonly address: string
  readonly options: ConnectionOptions
}

/** What is heard of the keys that were read. */
export interface DeploymentListener {
  /** A key has changed, or has been touched. */
  readonly onInvalidate: (key: string) => void
  /** Changes may have been missed: of the keys it says yes to; of any, without it. */
  readonly onMissed: (concerns?: (key: string) => boolean) => void
  /** A server refuses to track. */
  readonly onRefused: (error: Error) => void
  /** None does any longer. */
  readonly onTracked: () => void
}

/**
 * The servers that hold the sessions. Keys are given without the client's own prefix, and told with it.
 *
 * What rejects does so with {@link StoreUnavailableError}.
 */
export interface Deployment {
  /** Put before every key by the client itself. */
  readonly keyPrefix: string
  readonly commands: KeyCommands
  /** False if a command for the key would not be sent now, but kept until its server is back. */
  isReady(key: string): boolean
  /** Reads a key where it is, and has its changes announced. */
  read(key: string, withExpiry: boolean): Promise<Reading>
  /** Where a key is, for a connection of one's own. */
  placeOf(key: string): Promise<NodeAddress>
  /** Where a Cluster's node has pointed to in its answer. */
  redirected?(address: string, from: NodeAddress): NodeAddress
  close(): Promise<void>
}
