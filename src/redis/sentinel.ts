/*
 * A master that is watched by Sentinels, and whose place a replica may take.
 */
import { setTimeout as pause } from 'node:timers/promises'

import type { RedisSentinelType } from 'redis'

import { StoreUnavailableError } from '../errors.js'
import type { Deployment, DeploymentListener, NodeAddress, Send } from './deployment.js'
import type { CallLimits, ConnectionOptions, RedisClient } from './dedicated-client.js'
import type { Reading, ReadOptions } from './reading.js'
import { RetiredError, Server } from './server.js'
import type { Subscription } from './subscription.js'

/** How often to look for a master on which to listen. */
const retryMs = 500

/** A client of `createSentinel`. */
export class SentinelMaster implements Deployment {
  readonly #sentinel: RedisSentinelType
  readonly #limits: CallLimits
  readonly #listener: DeploymentListener
  #server: Server | undefined
  /** While the Sentinels look for a master, node-redis does not answer, however long it takes: one call for all. */
  #asking: Promise<NodeAddress> | undefined
  #subscription: Subscription | undefined
  #closed = false

  constructor(sentinel: RedisSentinelType, limits: CallLimits, listener: DeploymentListener) {
    this.#sentinel = sentinel
    this.#limits = limits
    this.#listener = listener
    sentinel.on('topology-change', this.#onTopologyChange)
  }

  async read(key: string, options: ReadOptions): Promise<Reading> {
    for (;;) {
      const server = await this.#current()
      try {
        return await server.read(key, options)
      } catch (error) {
        if (!(error instanceof RetiredError)) throw error
      }
    }
  }

  async ask<T>(key: string, send: Send<T>): Promise<T> {
    return await (await this.#current()).ask(key, send)
  }

  askAny<T>(send: Send<T>): Promise<T> {
    return this.ask('', send)
  }

  listen(subscription: Subscription): void {
    this.#subscription = subscription
    void this.#keepListening()
  }

  async addressOf(): Promise<NodeAddress> {
    // The client's lease is over at once: only its address is wanted.
    const master = await this.#limits.deadlines.within(() =>
      this.#sentinel._execute(false, (client) => Promise.resolve(client as unknown as RedisClient)),
    )
    const { host, port } = master.options.socket as { host: string; port: number }
    const options: ConnectionOptions = {
      ...this.#limits,
      client: master,
      target: { host, port },
    }
    return { address: `${host}:${String(port)}`, options }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#sentinel.off('topology-change', this.#onTopologyChange)
    await this.#server?.close()
  }

  async #current(): Promise<Server> {
    if (this.#server !== undefined) return this.#server
    this.#asking ??= this.addressOf().finally(() => {
      this.#asking = undefined
    })
    const { options } = await this.#asking
    if (this.#closed) throw new StoreUnavailableError('The bridge is closed.')
    return (this.#server ??= this.#serverAt(options))
  }

  #serverAt(options: ConnectionOptions): Server {
    const server = new Server(options, this.#listener)
    server.listen(this.#subscription)
    return server
  }

  /* Nothing else may be asked of a new master for long. */
  async #keepListening(): Promise<void> {
    while (!this.#closed && this.#server === undefined) {
      await this.#current().catch(() => pause(retryMs, undefined, { ref: false }))
    }
    this.#server?.listen(this.#subscription)
  }

  readonly #onTopologyChange = (event: { type: string }): void => {
    if (event.type !== 'MASTER_CHANGE' || this.#server === undefined) return
    void this.#server.close(new RetiredError())
    this.#server = undefined
    this.#listener.onMissed()
    if (this.#subscription !== undefined) void this.#keepListening()
  }
}
