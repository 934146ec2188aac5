/*
 * One server, whether it is all of the deployment or a Cluster's node.
 */
import { StoreUnavailableError } from '../errors.js'
import { BatchReader } from './batch-reader.js'
import type { ConnectionOptions } from './dedicated-client.js'
import type { Deployment, NodeAddress, Send } from './deployment.js'
import type { ReadBatch, Reading, ReadOptions } from './reading.js'
import type { Subscription } from './subscription.js'
import { TrackingConnection, type TrackingListener } from './tracking-connection.js'

/** The server is no longer needed: its keys are elsewhere. */
export class RetiredError extends StoreUnavailableError {}

/** A server on which keys are read and written, and which announces what was read. Connects on first use. */
export class Server implements Deployment {
  readonly #options: ConnectionOptions
  readonly #connection: TrackingConnection
  readonly #reader: BatchReader

  constructor(options: ConnectionOptions, listener: TrackingListener, readBatch?: ReadBatch) {
    this.#options = options
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

  ask<T>(_key: string, send: Send<T>, asking = false): Promise<T> {
    return this.#connection.ask((client) => send(client, asking))
  }

  askAny<T>(send: Send<T>): Promise<T> {
    return this.ask('', send)
  }

  /** On every connection that is opened to this server; `undefined`: no longer. */
  listen(subscription: Subscription | undefined): void {
    this.#connection.listen(subscription)
  }

  addressOf(): Promise<NodeAddress> {
    return Promise.resolve({ address: '', options: this.#options })
  }

  /** Readers that still wait are told the error. */
  async close(error?: Error): Promise<void> {
    const closed = this.#connection.close()
    this.#reader.close(error)
    await closed
  }
}
