/*
 * One server holds all sessions.
 */
import type { Deployment, DeploymentListener, NodeAddress } from './deployment.js'
import type { CallLimits, ConnectionOptions, RedisClient } from './dedicated-client.js'
import type { Reading, ReadOptions } from './reading.js'
import { Server, type Send } from './server.js'
import type { Subscription } from './subscription.js'

/** A client of `createClient`. */
export class SingleServer implements Deployment {
  readonly #options: ConnectionOptions
  readonly #server: Server

  constructor(client: RedisClient, limits: CallLimits, listener: DeploymentListener) {
    this.#options = { ...limits, client }
    this.#server = new Server(this.#options, listener)
  }

  read(key: string, options: ReadOptions): Promise<Reading> {
    return this.#server.read(key, options)
  }

  ask<T>(_key: string, send: Send<T>): Promise<T> {
    return this.#server.ask(send)
  }

  askAny<T>(send: Send<T>): Promise<T> {
    return this.#server.ask(send)
  }

  listen(subscription: Subscription): void {
    this.#server.listen(subscription)
  }

  addressOf(): Promise<NodeAddress> {
    return Promise.resolve({ address: '', options: this.#options })
  }

  async close(): Promise<void> {
    await this.#server.close()
  }
}
