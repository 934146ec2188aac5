/*
 * Which connections are meant.
 */

/** A session ID, or everything of a user. */
export type Selector = string | { readonly user: string | number }

/** @throws {TypeError} for what is neither a session ID nor `{ user }`. `method` is named in it. */
export function assertSelector(which: unknown, method: string): asserts which is Selector {
  if (typeof which === 'string') return
  if (typeof which === 'object' && which !== null && 'user' in which) {
    const { user } = which
    if (typeof user === 'number' ? Number.isFinite(user) : typeof user === 'string' && user !== '') return
    throw new TypeError(`${method}: \`user\` must be the user's ID, as a string or a number.`)
  }
  throw new TypeError(`${method}: pass a session ID, or { user }.`)
}
