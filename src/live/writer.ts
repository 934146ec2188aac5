/*
 * Atomic updates: read, change a draft, write only if nobody wrote in between, else again.
 * In: a session ID and a function that changes a draft. Out: what is in the store then.
 */
import type { SessionData } from 'express-session'

import { usableSnapshotOf } from '../store/clean-session.js'
import type { StoredSession } from '../store/live-store.js'
import { isThenable } from '../store/settle-once.js'
import { draftOf, snapshotOf, type SessionDraft, type SessionSnapshot } from '../store/snapshot.js'
import type { StoreAccess } from './store-access.js'

/**
 * Changes a draft in place. Synchronous; it may be called several times, with what is there by then.
 */
// eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- `=> void` alone would take an async function
export type Mutate = (draft: SessionDraft) => void | undefined

/** Writes sessions, one write of a session at a time: the writers of one process would only make each other try again. */
export class Writer {
  readonly #store: StoreAccess
  readonly #queues = new Map<string, Queue>()

  constructor(store: StoreAccess) {
    this.#store = store
  }

  /**
   * @param held what the session was when it was last read, to spare a read: it is only compared with
   * @returns what is in the store then; 'gone' if there is no such session any more
   */
  async update(
    sessionID: string,
    mutate: Mutate,
    held?: () => StoredSession | undefined,
  ): Promise<StoredSession | 'gone'> {
    const queue = this.#queues.get(sessionID) ?? new Queue()
    this.#queues.set(sessionID, queue)
    const leave = await queue.enter()
    try {
      const written = await this.#write(sessionID, mutate, queue.last ?? held?.())
      queue.last = written === 'gone' ? undefined : written
      return written
    } finally {
      leave()
      if (queue.isEmpty) this.#queues.delete(sessionID)
    }
  }

  /** Resolves when all writes that were under way are done. */
  async idle(): Promise<void> {
    await Promise.all([...this.#queues.values()].map(({ tail }) => tail))
  }

  async #write(sessionID: string, mutate: Mutate, held: StoredSession | undefined): Promise<StoredSession | 'gone'> {
    let current = held ?? (await this.#store.get(sessionID))
    for (;;) {
      const snapshot = current && usableSnapshotOf(current)
      if (current === undefined || snapshot === undefined) return 'gone'
      const result = await this.#store.replace(sessionID, current, mutated(snapshot, mutate))
      if (result === 'gone') return 'gone'
      if ('replaced' in result) return result.replaced
      current = result.changed
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
