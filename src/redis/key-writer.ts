/*
 * Where a key is written: on the store's own client, each call with a deadline.
 * In: keys and what is to become of them. Out: what became of them.
 */
import { StoreUnavailableError } from '../errors.js'
import { areScriptsForbidden, compareAndSet, type WriteResult } from './compare-and-set.js'
import { OptimisticLock } from './optimistic-lock.js'
import type { ConnectionOptions, RedisClient } from './own-connection.js'

/** A write that fails may have been done all the same: Redis may have got the command and not the answer. */
export class KeyWriter {
  readonly #options: ConnectionOptions
  readonly #client: RedisClient
  readonly #lock: OptimisticLock
  #scriptsForbidden = false

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.#lock = new OptimisticLock(options)
    // The timeout is node-redis' own: it takes back what could not even be sent.
    this.#client = options.client.withCommandOptions({ timeout: options.timeoutMs, typeMapping: {} })
  }

  /** Writes only over `expected`, and leaves the expiry as it is. */
  async replace(key: string, expected: string, next: string): Promise<WriteResult> {
    if (!this.#scriptsForbidden) {
      try {
        return await this.#send(() => compareAndSet(this.#client, key, expected, next))
      } catch (error) {
        if (!(error instanceof StoreUnavailableError && areScriptsForbidden(error.cause))) throw error
        this.#scriptsForbidden = true
      }
    }
    return await this.#lock.replace(key, expected, next)
  }

  /** @returns whether there is such a key. */
  async expire(key: string, seconds: number): Promise<boolean> {
    return (await this.#send(() => this.#client.expire(key, seconds))) === 1
  }

  async remove(key: string): Promise<void> {
    await this.#send(() => this.#client.del(key))
  }

  close(): void {
    this.#lock.close()
  }

  /* A client that is away would keep the command and send it when it is back, however late. */
  #send<T>(call: () => Promise<T>): Promise<T> {
    const { client, deadlines } = this.#options
    if (client.isReady) return deadlines.within(call)
    return Promise.reject(new StoreUnavailableError("The session store's Redis client is not connected."))
  }
}
