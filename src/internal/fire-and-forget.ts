/*
 * A call of somebody else's function whose answer nobody waits for.
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
