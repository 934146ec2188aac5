/*
 * Telling a promise from other values.
 */

/** Whether a value is a promise in all but name. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}
