/*
 * The name under which the processes of one app meet.
 */

/** PostgreSQL takes no longer one, and says so only when it is used. */
const maxBytes = 63

/** @throws {TypeError} for what cannot be a name on every transport. */
export function assertName(name: unknown, what: string): asserts name is string {
  if (typeof name === 'string' && name !== '' && !name.includes('\0') && Buffer.byteLength(name) <= maxBytes) return
  throw new TypeError(`${what} must be a string of 1 to ${maxBytes} bytes.`)
}
