/*
 * One server, whether it is the only one or a Cluster's node.
 */
import { StoreUnavailableError } from '../errors.js'
import { BatchReader } from './batch-reader.js'
import type { ConnectionOptions, RedisClient } from './dedicated-client.js'
import type { Reading, ReadTogether } from './reading.js'
import { TrackingConnection, type TrackingListener } from './tracking-connection.js'

/** The server is needed no more: its keys are elsewhere. */
export class RetiredError extends StoreUnavailableError {}

/** A server that is read, and heard of what was read. Connects on first use. */
export class Server {
  readonly #connection: TrackingConnection
  readonly #reader: BatchReader

  constructor(options: ConnectionOptions, listener: TrackingListener, readTogether?: ReadTogether) {
    this.#connection = new TrackingConnection(options, listener)
    this.#reader = new BatchReader(this.#connection, options.timeoutMs, readTogether)
  }

  get isOpen(): boolean {
    return this.#connection.isOpen
  }

  /** @throws {StoreUnavailableError} (rejects); Redis' own answer for this key is the cause. */
  read(key: string, withExpiry: boolean, asking = false): Promise<Reading> {
    return this.#reader.read(key, withExpiry, asking)
  }

  /** @throws {StoreUnavailableError} (rejects) */
  ask<T>(send: (client: RedisClient) => Promise<T>): Promise<T> {
    return this.#connection.ask(send)
  }

  /** Whoever still waits is told the error. */
  async close(error?: Error): Promise<void> {
    const closed = this.#connection.close()
    this.#reader.close(error)
    await closed
  }
}
