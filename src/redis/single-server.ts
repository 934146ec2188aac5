/*
 * One server holds all sessions.
 */
import type { Deployment, DeploymentListener, KeyCommands, NodeAddress } from './deployment.js'
import type { CallLimits, ConnectionOptions, RedisClient } from './dedicated-client.js'
import type { Reading } from './reading.js'
import { Server } from './server.js'

/** A client of `createClient`. */
export class SingleServer implements Deployment {
  readonly keyPrefix: string
  readonly commands: KeyCommands
  readonly #options: ConnectionOptions
  readonly #server: Server

  constructor(client: RedisClient, limits: CallLimits, listener: DeploymentListener) {
    this.#options = { ...limits, client }
    this.keyPrefix = String(client.options.keyPrefix ?? '')
    // The timeout is node-redis' own: it takes back what could not even be sent.
    this.commands = client.withCommandOptions({ timeout: limits.timeoutMs, typeMapping: {} })
    this.#server = new Server(this.#options, listener)
  }

  isReady(): boolean {
    return this.#options.client.isReady
  }

  read(key: string, withExpiry: boolean): Promise<Reading> {
    return this.#server.read(key, withExpiry)
  }

  placeOf(): Promise<NodeAddress> {
    return Promise.resolve({ address: '', options: this.#options })
  }

  async close(): Promise<void> {
    await this.#server.close()
  }
}
