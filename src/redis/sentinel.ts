/*
 * A master that Sentinels watch over, and whose place a replica may take.
 */
import type { RedisSentinelType } from 'redis'

import { StoreUnavailableError } from '../errors.js'
import type { Deployment, DeploymentListener, KeyCommands, NodeAddress } from './deployment.js'
import type { CallLimits, ConnectionOptions, RedisClient } from './dedicated-client.js'
import type { Reading } from './reading.js'
import { RetiredError, Server } from './server.js'

/** A client of `createSentinel`. */
export class SentinelMaster implements Deployment {
  readonly keyPrefix: string
  readonly commands: KeyCommands
  readonly #sentinel: RedisSentinelType
  readonly #limits: CallLimits
  readonly #listener: DeploymentListener
  #server: Server | undefined
  /** While the Sentinels look for a master, node-redis keeps whoever asks, however long: one asks for all. */
  #asking: Promise<NodeAddress> | undefined
  #closed = false

  constructor(sentinel: RedisSentinelType, limits: CallLimits, listener: DeploymentListener) {
    this.keyPrefix = String(sentinel._keyPrefix ?? '')
    this.commands = sentinel.withCommandOptions({
      timeout: limits.timeoutMs,
      typeMapping: {},
    })
    this.#sentinel = sentinel
    this.#limits = limits
    this.#listener = listener
    sentinel.on('topology-change', this.#onTopologyChange)
  }

  isReady(): boolean {
    return this.#sentinel.isReady
  }

  async read(key: string, withExpiry: boolean): Promise<Reading> {
    for (;;) {
      const server = await this.#current()
      try {
        return await server.read(key, withExpiry)
      } catch (error) {
        if (!(error instanceof RetiredError)) throw error
      }
    }
  }

  async placeOf(): Promise<NodeAddress> {
    // The lease of a client is over at once: it is only asked where it is connected to.
    const master = await this.#limits.deadlines.within(() =>
      this.#sentinel._execute(false, (client) => Promise.resolve(client as unknown as RedisClient)),
    )
    const { host, port } = master.options.socket as { host: string; port: number }
    const options: ConnectionOptions = {
      ...this.#limits,
      client: master,
      target: { host, port, keyPrefix: this.keyPrefix },
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
    this.#asking ??= this.placeOf().finally(() => {
      this.#asking = undefined
    })
    const { options } = await this.#asking
    if (this.#closed) throw new StoreUnavailableError('The bridge is closed.')
    this.#server ??= new Server(options, this.#listener)
    return this.#server
  }

  readonly #onTopologyChange = (event: { type: string }): void => {
    if (event.type !== 'MASTER_CHANGE' || this.#server === undefined) return
    void this.#server.close(new RetiredError())
    this.#server = undefined
    this.#listener.onMissed()
  }
}
