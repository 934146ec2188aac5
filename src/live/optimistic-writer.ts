/*
 * Atomic updates: read, change a draft, write only if nobody wrote in between, else again.
 */
import type { SessionData } from 'express-session'

import { usableSnapshotOf } from '../store/normalized-session.js'
import type { StoredSession } from '../store/live-store.js'
import { isThenable } from '../internal/is-thenable.js'
import { draftOf, snapshotOf, type SessionDraft, type SessionSnapshot } from '../store/snapshot.js'
import type { TimedStore } from './timed-store.js'

/**
 * Changes a draft in place. Synchronous; it may be called several times, with what is there by then.
 */
// eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- `=> void` alone would take an async function
export type Mutate = (draft: SessionDraft) => void | undefined

/** Writes sessions, one write of a session at a time: the writers of one process would only make each other try again. */
export class OptimisticWriter {
  readonly #store: TimedStore
  readonly #queues = new Map<string, Queue>()

  constructor(store: TimedStore) {
    this.#store = store
  }

  /**
   * @param held what the session was when it was last read, to spare a read: it is only compared with
   * @returns what is in the store then; 'gone' if there is no such session any more
   */
  async update(
    sessionID: string,
    mutate: Mutate,
    held: () => StoredSession | undefined,
  ): Promise<StoredSession | 'gone'> {
    return await this.#enter(sessionID, async (queue) => {
      const written = await this.#write(sessionID, mutate, queue.last ?? held())
      queue.last = written === 'gone' ? undefined : written
      return written
    })
  }

  /** Does something else to a session, after the writes that came before it. */
  async inTurn<T>(sessionID: string, work: () => Promise<T>): Promise<T> {
    return await this.#enter(sessionID, (queue) => {
      queue.last = undefined
      return work()
    })
  }

  /** Resolves when all writes that were under way are done. */
  async idle(): Promise<void> {
    await Promise.all([...this.#queues.values()].map(({ tail }) => tail))
  }

  async #enter<T>(sessionID: string, work: (queue: Queue) => Promise<T>): Promise<T> {
    const queue = this.#queues.get(sessionID) ?? new Queue()
    this.#queues.set(sessionID, queue)
    const leave = await queue.enter()
    try {
      return await work(queue)
    } finally {
      leave()
      if (queue.isEmpty) this.#queues.delete(sessionID)
    }
  }

  async #write(sessionID: string, mutate: Mutate, held: StoredSession | undefined): Promise<StoredSession | 'gone'> {
    let current = held ?? (await this.#store.get(sessionID))
    let isFresh = held === undefined
    for (;;) {
      const snapshot = current && usableSnapshotOf(current)
      if (current === undefined || snapshot === undefined) return 'gone'
      const next = attempt(() => mutated(snapshot, mutate))
      if ('error' in next && isFresh) throw next.error
      if ('error' in next) {
        // What it threw at may be out of date: it is asked about what is there now.
        current = await this.#store.get(sessionID)
        isFresh = true
        continue
      }
      const result = await this.#store.replace(sessionID, current, next.value)
      if (result === 'gone') return 'gone'
      if ('replaced' in result) return result.replaced
      current = result.changed
      isFresh = true
    }
  }
}

/** The writes of one session, in the order they came. */
class Queue {
  /** Settles, never rejects, when the last one is done. */
  tail: Promise<void> = Promise.resolve()
  /** What the last one wrote. */
  last: StoredSession | undefined
  #length = 0

  get isEmpty(): boolean {
    return this.#length === 0
  }

  /** Waits for one's turn; resolves to what ends it. */
  async enter(): Promise<() => void> {
    this.#length += 1
    const before = this.tail
    let leave = (): void => undefined
    this.tail = new Promise((resolve) => {
      leave = () => {
        this.#length -= 1
        resolve()
      }
    })
    await before
    return leave
  }
}

function mutated(snapshot: SessionSnapshot, mutate: Mutate): SessionData {
  const draft = draftOf(snapshot)
  const returned: unknown = mutate(draft)
  if (isThenable(returned)) {
    returned.then(undefined, () => undefined)
    throw new TypeError(
      'update: the function must be synchronous; nothing was written. Await before update, not in it.',
    )
  }
  return snapshotOf(draft) as unknown as SessionData
}

function attempt<T>(work: () => T): { value: T } | { error: unknown } {
  try {
    return { value: work() }
  } catch (error) {
    return { error }
  }
}
