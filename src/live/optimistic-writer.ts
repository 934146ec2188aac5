/*
 * Atomic updates: read, change a draft, write only if the record is unchanged, else start again.
 */
import type { SessionData } from 'express-session'

import { asError, SessionEndedError } from '../errors.js'
import { isThenable } from '../internal/is-thenable.js'
import { TimeoutQueue } from '../internal/timeout-queue.js'
import type { StoredSession } from '../store/live-store.js'
import { usableSnapshotOf } from '../store/normalized-session.js'
import { draftOf, snapshotOf, type SessionDraft, type SessionSnapshot } from '../store/snapshot.js'
import { asStored } from './live-store-answers.js'
import type { TimedStore } from './timed-store.js'
import { WriteQueue, type Write } from './write-queue.js'

/**
 * Changes a draft in place. Synchronous; it may be called several times, with what is there by then.
 */
// eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- `=> void` alone would take an async function
export type Mutate = (draft: SessionDraft) => void | undefined

/** Writes sessions, one write of a session at a time. */
export class OptimisticWriter {
  readonly #store: TimedStore
  readonly #queues = new Map<string, WriteQueue>()
  readonly #deadlines: TimeoutQueue<Write>
  readonly #onLateWrite: (sessionID: string) => void

  /** @param onLateWrite told of a write that was done although its caller had been told that it failed */
  constructor(store: TimedStore, timeoutMs: number, onLateWrite: (sessionID: string) => void) {
    this.#store = store
    this.#onLateWrite = onLateWrite
    this.#deadlines = new TimeoutQueue(timeoutMs, (write) => {
      write.queue.expire(write)
    })
  }

  /**
   * @param held what the session was when it was last read, to spare a read: it is only compared with
   * @returns what is in the store then; 'gone' if there is no such session
   * @throws {SessionEndedError} (rejects) when it is destroyed before its turn.
   * @throws {StoreUnavailableError} (rejects) when the store fails, does not answer in time, or too many writes wait.
   */
  async update(
    sessionID: string,
    mutate: Mutate,
    held: () => StoredSession | undefined,
  ): Promise<StoredSession | 'gone'> {
    const queue = this.#queueOf(sessionID)
    return await queue.write(async (write) => {
      const written = await this.#write(sessionID, mutate, queue.last ?? held(), write)
      if (!write.isOver) queue.last = written === 'gone' ? undefined : written
      else if (written !== 'gone') this.#onLateWrite(sessionID)
      return written
    })
  }

  /** Waits for the write that is under way, not for those that wait, and destroys. */
  async destroy(sessionID: string): Promise<void> {
    const queue = this.#queueOf(sessionID)
    await queue.destroy(() => {
      queue.last = undefined
      return this.#store.destroy(sessionID)
    })
  }

  /** The session is gone: the writes that wait end with a SessionEndedError. */
  end(sessionID: string): void {
    this.#queues.get(sessionID)?.endWaiting()
  }

  /** Resolves when all writes that were under way are done. */
  async idle(): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.empty()))
  }

  dispose(): void {
    this.#deadlines.dispose()
  }

  #queueOf(sessionID: string): WriteQueue {
    const existing = this.#queues.get(sessionID)
    if (existing !== undefined) return existing
    const queue = new WriteQueue(this.#deadlines, () => this.#queues.delete(sessionID))
    this.#queues.set(sessionID, queue)
    return queue
  }

  async #write(
    sessionID: string,
    mutate: Mutate,
    held: StoredSession | undefined,
    write: Write,
  ): Promise<StoredSession | 'gone'> {
    let current = held ?? asStored(await this.#store.get(sessionID))
    let isFresh = held === undefined
    for (;;) {
      // No caller waits for it any longer, so the result does not matter.
      if (write.isOver) return 'gone'
      if (current === undefined) return 'gone'
      const snapshot = usableSnapshotOf(current)
      // A record that cannot be a session: there is none, though sockets that are open keep what they have.
      if (snapshot === undefined) throw new SessionEndedError()
      const next = attempt(() => mutated(snapshot, mutate))
      if ('error' in next && isFresh) throw next.error
      if ('error' in next) {
        // What it threw at may be out of date: it is asked about what is there now.
        current = asStored(await this.#store.get(sessionID))
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

function mutated(snapshot: SessionSnapshot, mutate: Mutate): SessionData {
  const draft = draftOf(snapshot)
  const returned: unknown = mutate(draft)
  if (isThenable(returned)) {
    returned.then(undefined, () => undefined)
    throw new TypeError(
      'update: the function must be synchronous; nothing was written. Await before update, not in it.',
    )
  }
  try {
    return snapshotOf(draft) as unknown as SessionData
  } catch (cause) {
    throw new TypeError(
      'update: the session would have no JSON, so nothing was written. ' +
        `It must hold no circular reference, no BigInt and nothing nested too deep. ${asError(cause).message}`,
      { cause },
    )
  }
}

function attempt<T>(work: () => T): { value: T } | { error: unknown } {
  try {
    return { value: work() }
  } catch (error) {
    return { error }
  }
}
