/*
 * Checks of options that more than one entry point needs.
 */
import { longestTimerMs } from './clock.js'

/**
 * What is no object of options has none of them, so that all would silently be off: a RegExp in place of `{ path }`, a number in place of
 * `{ code }`.
 *
 * @param what what the error begins with: `'attach: the options'`
 * @param example what to pass
 * @throws {TypeError} for a RegExp, a number, a text, a list, a function and the like, and for null.
 */
export function assertObject(options: unknown, what: string, example: string): asserts options is object {
  // By its tag: an object of another realm is one, too.
  if (typeof options === 'object' && Object.prototype.toString.call(options) === '[object Object]') return
  throw new TypeError(`${what} must be an object such as ${example}.`)
}

/**
 * The options of a call.
 *
 * @param example what to pass
 * @throws {TypeError} for what is no object of options, and for an option that is none of these.
 */
export function assertOptions(options: unknown, known: readonly string[], method: string, example: string): void {
  assertObject(options, `${method}: the options`, example)
  assertKnown(options, known, `${method}: option`)
}

/**
 * Misspelt, an option would silently be off.
 *
 * @param what what the error begins with: `'attach: option'`
 * @throws {TypeError} for an option that is none of these.
 */
export function assertKnown(options: object, known: readonly string[], what: string): void {
  const unknown = Object.keys(options).find((name) => !known.includes(name))
  if (unknown === undefined) return
  throw new TypeError(`${what} \`${unknown}\` is unknown. The options are: ${known.join(', ')}.`)
}

/** @throws {TypeError} for what no timer can wait. */
export function assertDurationMs(value: unknown, what: string): asserts value is number {
  if (typeof value === 'number' && value > 0 && value <= longestTimerMs) return
  throw new TypeError(`${what} must be a number of milliseconds above 0 and below 2^31.`)
}
