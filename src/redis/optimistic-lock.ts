/*
 * Compare-and-set for servers that forbid scripts: WATCH, GET, MULTI, SET, EXEC.
 */
import type { WriteResult } from './compare-and-set.js'
import type { Deployment } from './deployment.js'
import type { RedisClient } from './dedicated-client.js'
import { redirectionOf } from './redirection.js'
import { WatchConnections } from './watch-connections.js'

/**
 * Each attempt has a connection to itself, since what is watched is the connection's, and gives it back before the next one.
 * One write at a time of each key: a key that is touched without end, so that its attempts fail, delays no other key.
 */
export class OptimisticLock {
  readonly #deployment: Deployment
  readonly #connections = new WatchConnections()
  /** The last write of each key that is being written. */
  readonly #last = new Map<string, Promise<unknown>>()

  constructor(deployment: Deployment) {
    this.#deployment = deployment
  }

  /**
   * @param isLate whether the caller has given up: then no more attempts are made
   * @throws Redis' own error, or the client's (rejects).
   */
  replace(key: string, expected: string, next: string, isLate: () => boolean): Promise<WriteResult> {
    const before = this.#last.get(key) ?? Promise.resolve()
    const write = before.then(() => this.#replaceInTurn(key, expected, next, isLate))
    const settled = write
      .catch(() => undefined)
      .finally(() => {
        if (this.#last.get(key) === settled) this.#last.delete(key)
      })
    this.#last.set(key, settled)
    return write
  }

  close(): void {
    this.#connections.close()
  }

  async #replaceInTurn(key: string, expected: string, next: string, isLate: () => boolean): Promise<WriteResult> {
    let place = await this.#deployment.addressOf(key)
    let moves = 0
    while (!isLate()) {
      try {
        const result = await this.#connections.use(place, (client) => attempt(client, key, expected, next))
        if (result !== 'touched meanwhile') return result
      } catch (error) {
        const moved = redirectionOf(error)
        moves += 1
        // Nothing was written. While a slot is on its way, its keys cannot be watched.
        if (moved === undefined || moved.asking || moves > 1 || this.#deployment.redirected === undefined) throw error
        place = this.#deployment.redirected(moved.address, place)
      }
    }
    throw new Error('The caller no longer waits.')
  }
}

async function attempt(
  client: RedisClient,
  key: string,
  expected: string,
  next: string,
): Promise<WriteResult | 'touched meanwhile'> {
  const [, current] = await Promise.all([client.watch(key), client.get(key)])
  if (current !== expected) {
    await client.unwatch()
    return current === null || current === '' ? 'gone' : { current }
  }
  // As a pipeline, since `exec()` throws an error for EXEC's null that only its class tells from others.
  const replies = await client
    .multi()
    .addCommand(['MULTI'])
    .set(key, next, { condition: 'XX', expiration: 'KEEPTTL' })
    .addCommand(['EXEC'])
    .execAsPipeline()
  const written = replies.at(-1) as unknown as readonly unknown[] | null
  if (written === null) return 'touched meanwhile'
  return written[0] === null ? 'gone' : 'replaced'
}
