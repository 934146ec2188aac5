/*
 * The same without a script, for servers that forbid them: WATCH, GET, MULTI, SET, EXEC.
 */
import type { WriteResult } from './compare-and-set.js'
import type { Deployment, NodeAddress } from './deployment.js'
import { connect, duplicateOf, type RedisClient } from './dedicated-client.js'
import { redirectionOf } from './redirection.js'

/** One write at a time, on connections of its own: WATCH is the connection's, and somebody else's EXEC would end it. */
export class OptimisticLock {
  readonly #deployment: Deployment
  /** By the address of the server. */
  readonly #clients = new Map<string, RedisClient>()
  #last: Promise<unknown> = Promise.resolve()
  #closed = false

  constructor(deployment: Deployment) {
    this.#deployment = deployment
  }

  /** @throws Redis' own error, or the client's (rejects). */
  replace(key: string, expected: string, next: string): Promise<WriteResult> {
    const write = this.#last.then(() => this.#replaceWhereItIs(key, expected, next))
    this.#last = write.catch(() => undefined)
    return write
  }

  close(): void {
    this.#closed = true
    for (const client of this.#clients.values()) client.destroy()
  }

  async #replaceWhereItIs(key: string, expected: string, next: string): Promise<WriteResult> {
    const place = await this.#deployment.placeOf(key)
    try {
      return await this.#replaceAt(place, key, expected, next)
    } catch (error) {
      const moved = redirectionOf(error)
      // Nothing was written. While a slot is on its way, its keys cannot be watched.
      if (moved === undefined || moved.asking || this.#deployment.redirected === undefined) throw error
      return await this.#replaceAt(this.#deployment.redirected(moved.address, place), key, expected, next)
    }
  }

  async #replaceAt(place: NodeAddress, key: string, expected: string, next: string): Promise<WriteResult> {
    const client = this.#clients.get(place.address) ?? (await this.#opened(place))
    return await place.options.deadlines.within(
      () => replaceWatched(client, key, expected, next),
      () => {
        client.destroy()
      },
    )
  }

  async #opened({ address, options }: NodeAddress): Promise<RedisClient> {
    const client = duplicateOf(options, {}, () => {
      if (this.#clients.get(address) === client) this.#clients.delete(address)
    })
    await connect(client, options.deadlines)
    if (this.#closed) client.destroy()
    else this.#clients.set(address, client)
    return client
  }
}

async function replaceWatched(client: RedisClient, key: string, expected: string, next: string): Promise<WriteResult> {
  for (;;) {
    await client.watch(key)
    const current = await client.get(key)
    if (current !== expected) {
      await client.unwatch()
      return current === null || current === '' ? 'gone' : { current }
    }
    try {
      const [reply] = await client.multi().set(key, next, { condition: 'XX', expiration: 'KEEPTTL' }).exec()
      return (reply as unknown) === null ? 'gone' : 'replaced'
    } catch (error) {
      if (!(error instanceof Error && error.constructor.name === 'WatchError')) throw error
    }
  }
}
