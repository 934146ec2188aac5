/*
 * A deadline for every call, and one kind of error.
 */
import { StoreUnavailableError } from '../errors.js'
import { TimeoutQueue, type TimeoutNode } from './timeout-queue.js'

/** What calls fail with. */
export interface CallErrors {
  /** The time was up. */
  tooLate(): Error
  /** They failed by themselves. */
  failed(error: unknown): Error
  /** Whoever made them is closed. Default: as of a session store. */
  closed?(): Error
}

const storeErrors: CallErrors = {
  tooLate: () => new StoreUnavailableError('The session store did not answer in time.'),
  failed: asStoreError,
}

/** Calls that always settle, all within the same time. */
export class CallTimeouts {
  readonly #errors: CallErrors
  readonly #calls: TimeoutQueue<Call>

  constructor(timeoutMs: number, errors: CallErrors = storeErrors) {
    this.#errors = errors
    this.#calls = new TimeoutQueue(timeoutMs, (call) => {
      call.onLate?.()
      call.fail(errors.tooLate())
    })
  }

  /** @param onLate called when the deadline passes, before the call fails */
  within<T>(start: () => Promise<T>, onLate?: () => void): Promise<T> {
    return new Promise((resolve, reject) => {
      const call = new Call(reject, onLate)
      const fail = (error: unknown): void => {
        this.#calls.remove(call)
        reject(this.#errors.failed(error))
      }
      this.#calls.add(call)
      try {
        start().then((answer) => {
          this.#calls.remove(call)
          resolve(answer)
        }, fail)
      } catch (error) {
        // A LiveStore of the app's own may throw where it should reject.
        fail(error)
      }
    })
  }

  /** Calls whose deadline has not come fail now. */
  close(): void {
    for (let call = this.#calls.shift(); call !== undefined; call = this.#calls.shift()) {
      call.fail(this.#errors.closed?.() ?? new StoreUnavailableError('The bridge is closed.'))
    }
    this.dispose()
  }

  /** Stops the timer: what is open settles when it does. */
  dispose(): void {
    this.#calls.dispose()
  }
}

/** What a store's failure is told as: the store's own error is only ever the cause. */
export function asStoreError(error: unknown): StoreUnavailableError {
  return error instanceof StoreUnavailableError ? error : new StoreUnavailableError(undefined, { cause: error })
}

class Call implements TimeoutNode {
  previous: TimeoutNode | undefined
  next: TimeoutNode | undefined
  dueAt = 0
  readonly fail: (error: Error) => void
  readonly onLate: (() => void) | undefined

  constructor(fail: (error: Error) => void, onLate: (() => void) | undefined) {
    this.fail = fail
    this.onLate = onLate
  }
}
