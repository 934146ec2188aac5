/*
 * Telling an object from other values.
 */

/** Whether a value may have properties of its own: `null` has none, and a function is not meant. */
export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
