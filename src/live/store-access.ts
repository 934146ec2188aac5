/*
 * The one way to the store from inside: every call has a deadline, and one kind of error.
 * In: a LiveStore. Out: the same answers, or StoreUnavailableError in time.
 */
import type { SessionData } from 'express-session'

import { StoreUnavailableError } from '../errors.js'
import type { LiveStore, ReplaceResult, StoredSession } from '../store/live-store.js'
import { DeadlineQueue, type Waiting } from './deadline-queue.js'

/** A LiveStore whose calls always settle. */
export class StoreAccess {
  readonly #store: LiveStore
  readonly #calls: DeadlineQueue<Call>

  constructor(store: LiveStore, timeoutMs: number) {
    this.#store = store
    this.#calls = new DeadlineQueue(timeoutMs, (call) => {
      call.fail(new StoreUnavailableError('The session store did not answer in time.'))
    })
  }

  get(sessionID: string, held?: StoredSession): Promise<StoredSession | undefined> {
    return this.#within(() => this.#store.get(sessionID, held))
  }

  /** For a handshake, which has a deadline of its own and is refused as `timeout` when it passes. */
  async getForHandshake(sessionID: string, held?: StoredSession): Promise<StoredSession | undefined> {
    return await this.#store.get(sessionID, held)
  }

  replace(sessionID: string, expected: StoredSession, next: SessionData): Promise<ReplaceResult> {
    return this.#within(() => this.#store.replace(sessionID, expected, next))
  }

  touch(sessionID: string): Promise<'touched' | 'gone'> {
    return this.#within(() => this.#store.touch(sessionID))
  }

  destroy(sessionID: string): Promise<void> {
    return this.#within(() => this.#store.destroy(sessionID))
  }

  /** Calls whose deadline has not come fail now. */
  close(): void {
    for (let call = this.#calls.shift(); call !== undefined; call = this.#calls.shift()) {
      call.fail(new StoreUnavailableError('The bridge is closed.'))
    }
    this.#calls.dispose()
  }

  #within<T>(start: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const call = new Call(reject)
      const fail = (error: unknown): void => {
        this.#calls.remove(call)
        reject(asStoreError(error))
      }
      this.#calls.add(call)
      try {
        start().then((answer) => {
          this.#calls.remove(call)
          resolve(answer)
        }, fail)
      } catch (error) {
        // A LiveStore of somebody else's may throw where it should reject.
        fail(error)
      }
    })
  }
}

/** What a store's failure is told as: the store's own error is only ever the cause. */
export function asStoreError(error: unknown): StoreUnavailableError {
  return error instanceof StoreUnavailableError ? error : new StoreUnavailableError(undefined, { cause: error })
}

class Call implements Waiting {
  previous: Waiting | undefined
  next: Waiting | undefined
  dueAt = 0
  readonly fail: (error: Error) => void

  constructor(fail: (error: Error) => void) {
    this.fail = fail
  }
}
