/*
 * A few connections to each server, for what needs one to itself for a moment.
 */
import { StoreUnavailableError } from '../errors.js'
import type { NodeAddress } from './deployment.js'
import { connect, duplicateOf, type RedisClient } from './dedicated-client.js'

/** To one server. An attempt takes two round trips, so these are some thousands of writes a second. */
const mostConnections = 4

interface Pool {
  readonly idle: RedisClient[]
  readonly waiting: (() => void)[]
  /** How many are in use or being opened. */
  inUse: number
}

/** Opened when needed, and kept until `close`. Who waits for one is served in order. */
export class WatchConnections {
  readonly #pools = new Map<string, Pool>()
  readonly #clients = new Set<RedisClient>()
  #closed = false

  /**
   * A connection that answers with an error, or not within the deadline, is thrown away.
   *
   * @throws what `work` rejects with, or {@link StoreUnavailableError} (rejects).
   */
  async use<T>({ address, options }: NodeAddress, work: (client: RedisClient) => Promise<T>): Promise<T> {
    const pool = this.#poolOf(address)
    if (pool.inUse >= mostConnections) await new Promise<void>((resolve) => pool.waiting.push(resolve))
    else pool.inUse += 1
    try {
      if (this.#closed) throw new StoreUnavailableError('The bridge is closed.')
      const client = idleOf(pool) ?? (await this.#opened(options))
      const result = await lent(client, options, work)
      pool.idle.push(client)
      return result
    } finally {
      const next = pool.waiting.shift()
      if (next === undefined) pool.inUse -= 1
      else next()
    }
  }

  close(): void {
    this.#closed = true
    for (const client of this.#clients) client.destroy()
  }

  #poolOf(address: string): Pool {
    const pool = this.#pools.get(address) ?? { idle: [], waiting: [], inUse: 0 }
    this.#pools.set(address, pool)
    return pool
  }

  async #opened(options: NodeAddress['options']): Promise<RedisClient> {
    const client = duplicateOf(options, {}, () => this.#clients.delete(client))
    await connect(client, options.deadlines)
    this.#clients.add(client)
    if (this.#closed) client.destroy()
    return client
  }
}

async function lent<T>(
  client: RedisClient,
  { deadlines }: NodeAddress['options'],
  work: (client: RedisClient) => Promise<T>,
): Promise<T> {
  try {
    return await deadlines.within(() => work(client))
  } catch (error) {
    client.destroy()
    throw error
  }
}

function idleOf({ idle }: Pool): RedisClient | undefined {
  for (let client = idle.pop(); client !== undefined; client = idle.pop()) if (client.isReady) return client
  return undefined
}
