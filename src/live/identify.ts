/*
 * The user's ID of a session, by the option `identify`.
 */
import { isThenable } from '../internal/is-thenable.js'
import type { SessionSnapshot } from '../store/snapshot.js'

/** Whose session it is; see {@link SessionBridgeOptions.identify}. */
export type Identify = (session: SessionSnapshot) => string | number | null | undefined

/**
 * Asks `identify`. A number is taken as its decimal text; `undefined` and `null` mean no user.
 *
 * @throws {TypeError} for any other answer, a promise included.
 * @throws what `identify` throws.
 */
export function userOf(identify: Identify, session: SessionSnapshot): string | undefined {
  const user: unknown = identify(session)
  if (user === undefined || user === null) return undefined
  if (typeof user === 'string' && user !== '') return user
  if (typeof user === 'number' && Number.isFinite(user)) return String(user)
  // An async function's promise may reject, and must not become an unhandled rejection.
  if (isThenable(user)) user.then(undefined, () => undefined)
  throw new TypeError(
    'Option `identify` must return the ID of a user at once, as a string or a number; `undefined` or `null` for no user.',
  )
}
