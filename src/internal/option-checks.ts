/*
 * Checks of options that more than one entry point needs.
 */
import { longestTimerMs } from './clock.js'

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
