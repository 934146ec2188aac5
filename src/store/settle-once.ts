/*
 * One call of a callback-style store, as a promise that settles once, whatever the store does.
 */
import { types } from 'node:util'

import { StoreUnavailableError } from '../errors.js'
import { isThenable } from '../internal/is-thenable.js'

/** The callback that a store is given. Calls after the first are ignored. */
export type StoreCallback<T> = (error?: unknown, value?: T) => void

/**
 * Starts a store call and settles with the first answer: the callback, an exception, or the rejection of a promise that
 * the store returned. The value of such a promise is ignored, as express-session ignores it.
 *
 * The callback never throws into the store, because connect-redis would call it a second time.
 *
 * @param of makes the result of the value, within the callback; if it throws, the promise rejects
 * @throws {StoreUnavailableError} (rejects) with whatever the store failed with as its cause.
 */
export function settleOnce<T, R>(
  start: (callback: StoreCallback<T>) => unknown,
  of: (value: T | undefined) => R,
): Promise<R> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      const cause = isError(error)
        ? error
        : new Error('The store failed with a value that is no Error.', { cause: error })
      reject(new StoreUnavailableError(undefined, { cause }))
    }
    try {
      const returned = start((error, value) => {
        if (error) return fail(error)
        try {
          resolve(of(value))
        } catch (thrown) {
          fail(thrown)
        }
      })
      if (isThenable(returned)) returned.then(undefined, fail)
    } catch (error) {
      fail(error)
    }
  })
}

function isError(error: unknown): error is Error {
  // Those of another realm, as in Jest, are no instances of this one's Error.
  return error instanceof Error || types.isNativeError(error)
}
