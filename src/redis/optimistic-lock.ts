/*
 * The same without a script, for servers that forbid them: WATCH, GET, MULTI, SET, EXEC.
 * In: a key, what it is expected to hold, what it is to hold. Out: whether it does, or what it holds instead.
 */
import type { WriteResult } from './compare-and-set.js'
import { connect, duplicateOf, type ConnectionOptions, type RedisClient } from './own-connection.js'

/** One write at a time, on a connection of its own: WATCH is the connection's, and somebody else's EXEC would end it. */
export class OptimisticLock {
  readonly #options: ConnectionOptions
  #client: RedisClient | undefined
  #last: Promise<unknown> = Promise.resolve()
  #closed = false

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  /** @throws Redis' own error, or the client's (rejects). */
  replace(key: string, expected: string, next: string): Promise<WriteResult> {
    const write = this.#last.then(() => this.#replaceWithin(key, expected, next))
    this.#last = write.catch(() => undefined)
    return write
  }

  close(): void {
    this.#closed = true
    this.#client?.destroy()
  }

  async #replaceWithin(key: string, expected: string, next: string): Promise<WriteResult> {
    const client = this.#client ?? (await this.#opened())
    return await this.#options.deadlines.within(
      () => replaceWatched(client, key, expected, next),
      () => {
        client.destroy()
      },
    )
  }

  async #opened(): Promise<RedisClient> {
    const client = duplicateOf(this.#options, {}, () => {
      if (this.#client === client) this.#client = undefined
    })
    await connect(client, this.#options.deadlines)
    if (this.#closed) client.destroy()
    else this.#client = client
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
