/*
 * The writes of one session, one after the other: the writers of one process would only make each other try again.
 */
import { SessionEndedError, StoreUnavailableError } from '../errors.js'
import type { TimeoutNode, TimeoutQueue } from '../internal/timeout-queue.js'
import type { StoredSession } from '../store/live-store.js'

/** How many writes may wait for a session. */
const longestQueue = 1_000

/** One write. It settles within its time, which runs from its call and not from its turn. */
export class Write implements TimeoutNode {
  previous: TimeoutNode | undefined = undefined
  next: TimeoutNode | undefined = undefined
  dueAt = 0
  readonly queue: WriteQueue
  readonly reject: (error: Error) => void
  readonly isDestroy: boolean
  readonly #work: (write: Write) => Promise<unknown>
  #isOver = false

  constructor(
    queue: WriteQueue,
    isDestroy: boolean,
    work: (write: Write) => Promise<unknown>,
    reject: (error: Error) => void,
  ) {
    this.queue = queue
    this.isDestroy = isDestroy
    this.#work = work
    this.reject = reject
  }

  /** Its caller has its answer: it makes no further calls. */
  get isOver(): boolean {
    return this.#isOver
  }

  run(): Promise<unknown> {
    return this.#work(this)
  }

  finish(): void {
    this.#isOver = true
  }
}

/**
 * The queue of one session.
 *
 * Invariant: at most one write is running that has not used up its time. A `destroy` stands before every write that waits, and
 * its success ends those.
 */
export class WriteQueue {
  /** What the last write has written: the next one compares with it. */
  last: StoredSession | undefined
  readonly #deadlines: TimeoutQueue<Write>
  readonly #onEmpty: (() => void)[]
  #waiting: Write[] = []
  #running: Write | undefined

  /** @param onEmpty called whenever all writes have settled */
  constructor(deadlines: TimeoutQueue<Write>, onEmpty: () => void) {
    this.#deadlines = deadlines
    this.#onEmpty = [onEmpty]
  }

  get isEmpty(): boolean {
    return this.#running === undefined && this.#waiting.length === 0
  }

  /** @throws {StoreUnavailableError} (rejects) at once where too many wait, and when its time is up. */
  write<T>(work: (write: Write) => Promise<T>): Promise<T> {
    if (this.#waiting.length >= longestQueue) {
      const message = `${String(longestQueue)} updates of the session are waiting already.`
      return Promise.reject(new StoreUnavailableError(message))
    }
    return this.#add(false, work)
  }

  /** Runs before the writes that wait, when the one that is running has settled. */
  destroy(work: () => Promise<void>): Promise<void> {
    return this.#add(true, work)
  }

  /** The session is gone: the writes that wait end with a SessionEndedError. */
  endWaiting(): void {
    const ended = this.#waiting.filter(({ isDestroy }) => !isDestroy)
    this.#waiting = this.#waiting.filter(({ isDestroy }) => isDestroy)
    for (const write of ended) this.#reject(write, new SessionEndedError())
  }

  /** The time of a write is up. The next one begins, whatever this one still waits for. */
  expire(write: Write): void {
    this.#reject(write, new StoreUnavailableError('The session store did not answer in time.'))
    if (write !== this.#running) this.#waiting = this.#waiting.filter((waiting) => waiting !== write)
    else this.#next()
  }

  /** Resolves when all writes have settled. */
  async empty(): Promise<void> {
    if (!this.isEmpty) await new Promise<void>((resolve) => this.#onEmpty.push(resolve))
  }

  #add<T>(isDestroy: boolean, work: (write: Write) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const run = async (write: Write): Promise<void> => {
        resolve(await work(write))
      }
      const write = new Write(this, isDestroy, run, reject)
      this.#deadlines.add(write)
      if (isDestroy) this.#waiting.unshift(write)
      else this.#waiting.push(write)
      if (this.#running === undefined) this.#next()
    })
  }

  #next(): void {
    this.#running = this.#waiting.shift()
    if (this.#running !== undefined) void this.#run(this.#running)
    else for (const resolve of this.#onEmpty) resolve()
  }

  async #run(write: Write): Promise<void> {
    try {
      await write.run()
    } catch (error) {
      write.reject(error as Error)
    }
    if (write.isOver) return
    write.finish()
    this.#deadlines.remove(write)
    this.#next()
  }

  #reject(write: Write, error: Error): void {
    write.finish()
    this.#deadlines.remove(write)
    write.reject(error)
  }
}
