/*
 * A call of a foreign function whose result is not waited for.
 */
import { isThenable } from './is-thenable.js'

/** Never throws. TypeScript takes an async function for one that returns nothing: its promise may reject all the same. */
export function fireAndForget(call: () => unknown, onFault: (error: unknown) => void): void {
  try {
    const returned = call()
    if (isThenable(returned)) returned.then(undefined, onFault)
  } catch (error) {
    onFault(error)
  }
}
