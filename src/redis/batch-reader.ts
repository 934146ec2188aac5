/*
 * Where keys are read: all readers share batches, one under way and the next one collecting.
 */
import { StoreUnavailableError } from '../errors.js'
import { asStoreError } from '../internal/call-timeouts.js'
import { TimeoutQueue, type TimeoutNode } from '../internal/timeout-queue.js'
import { readByOneCommand, type KeyQuestion, type ReadBatch, type Reading, type ReadOptions } from './reading.js'
import { ConnectionLostError, type TrackingConnection } from './tracking-connection.js'

/** A single command of this size takes Redis some 0.1 ms, in which it does nothing else. */
const batchSize = 200

/** Reads on the tracking connection: a key that was read there is announced when it changes. */
export class BatchReader {
  readonly #connection: Pick<TrackingConnection, 'ask'>
  readonly #send: ReadBatch
  readonly #deadlines: TimeoutQueue<Read>
  /** The batch that is collecting, and what does not fit into it. */
  readonly #collecting = new Map<string, Read>()
  #isReading = false

  constructor(connection: Pick<TrackingConnection, 'ask'>, timeoutMs: number, readBatch: ReadBatch = readByOneCommand) {
    this.#connection = connection
    this.#send = readBatch
    this.#deadlines = new TimeoutQueue(timeoutMs, (read) => {
      if (this.#collecting.get(read.key) === read) this.#collecting.delete(read.key)
      read.reject(new StoreUnavailableError('The session store did not answer in time.'))
    })
  }

  /** @throws {StoreUnavailableError} (rejects) */
  read(key: string, { withExpiry = false, touchSeconds }: ReadOptions, asking = false): Promise<Reading> {
    let read = this.#collecting.get(key)
    if (read === undefined) {
      read = new Read(key)
      this.#collecting.set(key, read)
      this.#deadlines.add(read)
      if (!this.#isReading) void this.#readAll()
    }
    read.add({ withExpiry, touchSeconds, asking })
    return read.promise
  }

  /** Readers that still wait are told the error. */
  close(error: Error = new StoreUnavailableError('The bridge is closed.')): void {
    this.#collecting.clear()
    for (let read = this.#deadlines.shift(); read !== undefined; read = this.#deadlines.shift()) read.reject(error)
    this.#deadlines.dispose()
  }

  async #readAll(): Promise<void> {
    this.#isReading = true
    // What else is read in this turn comes along.
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
      const readings = await this.#connection.ask((client) => this.#send(client, batch))
      batch.forEach((read, index) => {
        const reading = readings[index] as Reading | Error
        this.#deadlines.remove(read)
        if (reading instanceof Error) read.reject(asStoreError(reading))
        else read.resolve(reading)
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
        other.add(read)
        this.#deadlines.remove(read)
        other.promise.then(read.resolve, read.reject)
      }
    }
  }
}

class Read implements TimeoutNode, KeyQuestion {
  previous: TimeoutNode | undefined
  next: TimeoutNode | undefined
  dueAt = 0
  withExpiry = false
  touchSeconds: number | undefined = undefined
  asking = false
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

  /** What another reader of the key wants, too. */
  add({ withExpiry, touchSeconds, asking }: Omit<KeyQuestion, 'key'>): void {
    this.withExpiry ||= withExpiry
    this.touchSeconds = touchSeconds ?? this.touchSeconds
    this.asking ||= asking
  }
}
