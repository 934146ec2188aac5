/*
 * Where a key is read: all who read share batches, one under way and the next one collecting.
 * In: keys, with the wish to know how long they last. Out: what they hold.
 */
import { StoreUnavailableError } from '../errors.js'
import { DeadlineQueue, type Waiting } from '../store/deadline-queue.js'
import type { RedisClient } from './own-connection.js'
import { ConnectionLostError, type TrackingConnection } from './tracking-connection.js'

/** What was read of a key. */
export interface Reading {
  /** `null` if there is none. */
  readonly raw: string | null
  /** When it expires, in ms since the epoch; Infinity: never; `undefined` if that was not asked. */
  readonly expiresAt: number | undefined
}

/** A single command of this size takes Redis some 0.1 ms, in which it does nothing else. */
const batchSize = 200

/** Reads on the tracking connection: a key that was read there is announced when it changes. */
export class BatchReader {
  readonly #connection: Pick<TrackingConnection, 'ask'>
  readonly #deadlines: DeadlineQueue<Read>
  /** The batch that is collecting, and what does not fit into it. */
  readonly #collecting = new Map<string, Read>()
  #isReading = false

  constructor(connection: Pick<TrackingConnection, 'ask'>, timeoutMs: number) {
    this.#connection = connection
    this.#deadlines = new DeadlineQueue(timeoutMs, (read) => {
      if (this.#collecting.get(read.key) === read) this.#collecting.delete(read.key)
      read.reject(new StoreUnavailableError('The session store did not answer in time.'))
    })
  }

  /** @throws {StoreUnavailableError} (rejects) */
  read(key: string, withExpiry: boolean): Promise<Reading> {
    let read = this.#collecting.get(key)
    if (read === undefined) {
      read = new Read(key)
      this.#collecting.set(key, read)
      this.#deadlines.add(read)
      if (!this.#isReading) void this.#readAll()
    }
    read.withExpiry ||= withExpiry
    return read.promise
  }

  close(): void {
    this.#collecting.clear()
    for (let read = this.#deadlines.shift(); read !== undefined; read = this.#deadlines.shift()) {
      read.reject(new StoreUnavailableError('The bridge is closed.'))
    }
    this.#deadlines.dispose()
  }

  async #readAll(): Promise<void> {
    this.#isReading = true
    // Whoever else reads in this turn comes along.
    await Promise.resolve()
    while (this.#collecting.size > 0) await this.#readBatch(this.#nextBatch())
    this.#isReading = false
  }

  #nextBatch(): Read[] {
    const batch: Read[] = []
    for (const [key, read] of this.#collecting) {
      this.#collecting.delete(key)
      batch.push(read)
      if (batch.length === batchSize) break
    }
    return batch
  }

  async #readBatch(batch: readonly Read[]): Promise<void> {
    try {
      const readings = await this.#connection.ask((client) => readTogether(client, batch))
      batch.forEach((read, index) => {
        this.#deadlines.remove(read)
        read.resolve(readings[index] as Reading)
      })
    } catch (error) {
      if (error instanceof ConnectionLostError) this.#collectAgain(batch)
      else this.#fail(batch, error)
    }
  }

  #fail(batch: readonly Read[], error: unknown): void {
    for (const read of batch) {
      this.#deadlines.remove(read)
      read.reject(error)
    }
  }

  /* Reading twice does no harm, so a lost connection costs the readers no more than time. */
  #collectAgain(batch: readonly Read[]): void {
    for (const read of batch) {
      if (read.dueAt === 0) continue
      const other = this.#collecting.get(read.key)
      if (other === undefined) {
        this.#collecting.set(read.key, read)
      } else {
        other.withExpiry ||= read.withExpiry
        this.#deadlines.remove(read)
        other.promise.then(read.resolve, read.reject)
      }
    }
  }
}

async function readTogether(client: RedisClient, batch: readonly Read[]): Promise<Reading[]> {
  const [raws, lefts] = await Promise.all([
    client.mGet(batch.map(({ key }) => key)),
    Promise.all(batch.filter(({ withExpiry }) => withExpiry).map(({ key }) => client.pTTL(key))),
  ])
  const now = Date.now()
  let asked = 0
  return batch.map(({ withExpiry }, index) =>
    readingOf(raws[index] ?? null, withExpiry ? lefts[asked++] : undefined, now),
  )
}

/* PTTL says -2 for no key and -1 for no expiry; a key lives through its last millisecond (Redis, db.c, keyIsExpired). */
function readingOf(raw: string | null, left: number | undefined, now: number): Reading {
  if (raw === null || left === undefined) return { raw, expiresAt: undefined }
  if (left === -2) return { raw: null, expiresAt: undefined }
  return { raw, expiresAt: left === -1 ? Infinity : now + left + 1 }
}

class Read implements Waiting {
  previous: Waiting | undefined
  next: Waiting | undefined
  dueAt = 0
  withExpiry = false
  readonly key: string
  readonly promise: Promise<Reading>
  resolve!: (reading: Reading) => void
  reject!: (error: unknown) => void

  constructor(key: string) {
    this.key = key
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }
}
