/*
 * One call of a callback-style store, as a promise that settles once, whatever the store does.
 */

import { StoreUnavailableError } from '../errors.js'
import { isThenable } from '../internal/is-thenable.js'

/** The callback that a store is given. Its later calls are ignored. */
export type StoreCallback<T> = (error?: unknown, value?: T) => void

/**
 * Starts a store call and settles with the first answer: the callback, a thrown exception, or a rejected promise that
 * the store returned. A value that such a promise holds is ignored, as express-session ignores it.
 *
 * The callback never throws back into the store: connect-redis would call it a second time for that.
 *
 * @param of what is made of the value, within the callback; it must not throw
 * @throws {StoreUnavailableError} (rejects) with whatever the store failed with as its cause.
 */
export function settleOnce<T, R>(
  start: (callback: StoreCallback<T>) => unknown,
  of: (value: T | undefined) => R,
): Promise<R> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      const cause =
        error instanceof Error
          ? error
          : new Error('The store failed with something that is no Error.', { cause: error })
      reject(new StoreUnavailableError(undefined, { cause }))
    }
    try {
      const returned = start((error, value) => {
        if (error) fail(error)
        else resolve(of(value))
      })
      if (isThenable(returned)) returned.then(undefined, fail)
    } catch (error) {
      fail(error)
    }
  })
}
