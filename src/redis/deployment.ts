/*
 * The servers behind a client: one server, a Cluster, or the master that a Sentinel names.
 */
import type { ConnectionOptions, RedisClient } from './dedicated-client.js'
import type { ReadOptions, Reading } from './reading.js'
import type { Subscription } from './subscription.js'

/** Sends commands. With `asking`, each of them that names a key has to follow an ASKING (see `sendAsking`). */
export type Send<T> = (client: RedisClient, asking: boolean) => Promise<T>

/** Where to connect for a key, and the name of that place. */
export interface NodeAddress {
  readonly address: string
  readonly options: ConnectionOptions
}

/** What is heard of the keys that were read. */
export interface DeploymentListener {
  /** A key was changed, or touched. */
  readonly onInvalidate: (key: string) => void
  /** Changes may have been missed: of the keys for which `concerns` is true; without it, of any key. */
  readonly onMissed: (concerns?: (key: string) => boolean) => void
  /** A server refuses to track. */
  readonly onRefused: (error: Error) => void
  /** No server refuses any longer. */
  readonly onTracked: () => void
}

/**
 * The servers that hold the sessions. Keys are given and told in full: the client's own prefix counts for nothing here.
 *
 * What rejects does so with {@link StoreUnavailableError}.
 */
export interface Deployment {
  /** Reads a key where it is, and has its changes announced. */
  read(key: string, options: ReadOptions): Promise<Reading>
  /** Sends commands for one key to where it is, on the connection on which its changes are announced. */
  ask<T>(key: string, send: Send<T>): Promise<T>
  /** Sends what any of the servers can do. */
  askAny<T>(send: Send<T>): Promise<T>
  /** Listens to a channel from now on, on one of these connections, whichever is lost. Called once. */
  listen(subscription: Subscription): void
  /** Where a key is, for a connection of one's own. */
  addressOf(key: string): Promise<NodeAddress>
  /** Where a Cluster's node has pointed to in its answer. */
  redirected?(address: string, from: NodeAddress): NodeAddress
  close(): Promise<void>
}
