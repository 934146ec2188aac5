/*
 * Puts values back as a store gave them, where nothing but their way through JSON has changed them.
 */
import { isDeepStrictEqual } from 'node:util'

type Fields = Record<string, unknown>

/**
 * Changes a draft in place: a field whose JSON is the same as `before` becomes the value of `original` again, so that a
 * store that keeps Dates gets its Dates back. A field that has no JSON (a function, `undefined`) comes back, too.
 *
 * @param before what JSON makes of `original`
 */
export function restoreOriginalValues(draft: object, before: object, original: object): void {
  restore(draft as Fields, before as Fields, original as Fields)
}

function restore(draft: Fields, before: Fields, original: Fields): void {
  for (const key of Object.keys(draft)) draft[key] = restored(draft[key], before[key], original[key])
  for (const key of Object.keys(original)) {
    const hasNoJson = !Object.hasOwn(before, key) && !Object.hasOwn(draft, key)
    if (hasNoJson && key !== '__proto__') draft[key] = original[key]
  }
}

function restored(now: unknown, before: unknown, original: unknown): unknown {
  if (now === original || original === undefined) return now
  if (isDeepStrictEqual(now, before)) return original
  if (arePlainObjects(now, before, original) || areArrays(now, before, original)) {
    restore(now as Fields, before as Fields, original as Fields)
  }
  return now
}

function areArrays(...values: unknown[]): boolean {
  return values.every((value) => Array.isArray(value))
}

/* An object with a toJSON has a JSON of its own making: its parts are not those of the object. */
function arePlainObjects(...values: unknown[]): boolean {
  return values.every((value) => {
    if (typeof value !== 'object' || value === null || 'toJSON' in value) return false
    const prototype: unknown = Object.getPrototypeOf(value)
    return prototype === Object.prototype || prototype === null
  })
}
