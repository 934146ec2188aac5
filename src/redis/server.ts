/*
 * One server, whether it is the only one or a Cluster's node.
 */
import { StoreUnavailableError } from '../errors.js'
import { BatchReader } from './batch-reader.js'
import type { ConnectionOptions, RedisClient } from './dedicated-client.js'
import type { ReadBatch, Reading, ReadOptions } from './reading.js'
import type { Subscription } from './subscription.js'
import { TrackingConnection, type TrackingListener } from './tracking-connection.js'

/** The server is no longer needed: its keys are elsewhere. */
export class RetiredError extends StoreUnavailableError {}

/** Sends commands. With `asking`, each of them that names a key has to follow an ASKING (see {@link sendAsking}). */
export type Send<T> = (client: RedisClient, asking: boolean) => Promise<T>

/** A server on which keys are read and written, and which announces what was read. Connects on first use. */
export class Server {
  readonly #connection: TrackingConnection
  readonly #reader: BatchReader

  constructor(options: ConnectionOptions, listener: TrackingListener, readBatch?: ReadBatch) {
    this.#connection = new TrackingConnection(options, listener)
    this.#reader = new BatchReader(this.#connection, options.timeoutMs, readBatch)
  }

  get isOpen(): boolean {
    return this.#connection.isOpen
  }

  /** @throws {StoreUnavailableError} (rejects); Redis' own answer for this key is the cause. */
  read(key: string, options: ReadOptions, asking = false): Promise<Reading> {
    return this.#reader.read(key, options, asking)
  }

  /** @throws {StoreUnavailableError} (rejects) */
  ask<T>(send: Send<T>, asking = false): Promise<T> {
    return this.#connection.ask((client) => send(client, asking))
  }

  /** Listens to a channel from now on, on every connection that is opened to this server; `undefined`: no longer. */
  listen(subscription: Subscription | undefined): void {
    this.#connection.listen(subscription)
  }

  /** Readers that still wait are told the error. */
  async close(error?: Error): Promise<void> {
    const closed = this.#connection.close()
    this.#reader.close(error)
    await closed
  }
}
