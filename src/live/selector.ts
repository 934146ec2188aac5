/*
 * Which connections a call is about.
 */
import { assertSelector, type Selector } from '../channel/selector.js'
import { isThenable } from '../internal/is-thenable.js'
import type { Registry } from './registry.js'
import type { Context, SessionContext, SessionSource } from './session-context.js'
import type { Users } from './users.js'

/** A session ID, everything of a user, or a function that says yes to contexts: synchronous, and called once for each. */
export type ContextSelector = Selector | ((context: SessionContext) => boolean)

/** The user's ID in a selector. A number is taken as its decimal text, as `identify` does. */
export function userIn({ user }: { readonly user: string | number }): string {
  return String(user)
}

/**
 * The open connections that a selector means, as they are at the call. It costs what it finds; a function is asked about all.
 *
 * @throws {TypeError} for what is no selector, and for a function that returns a promise.
 */
export function select(
  which: ContextSelector | undefined,
  method: string,
  registry: Registry,
  users: Users,
): Context[] {
  if (which === undefined) return registry.contexts()
  if (typeof which === 'function') return registry.contexts().filter((context) => isMeant(which, context, method))
  assertSelector(which, method)
  if (typeof which === 'string') return registry.get(which)?.contexts() ?? []
  return users.sessionsOf(userIn(which)).flatMap((live) => live.contexts())
}

/** Whether a selector names a session or its user. A function is not asked: it knows open connections. */
export function isSelected({ sessionID, user }: SessionSource, which: ContextSelector): boolean {
  if (typeof which === 'function') return false
  return typeof which === 'string' ? which === sessionID : userIn(which) === user
}

function isMeant(which: (context: Context) => unknown, context: Context, method: string): boolean {
  const answer = which(context)
  if (!isThenable(answer)) return Boolean(answer)
  // An async function's promise is truthy: taken for a yes, it would concern every connection.
  answer.then(undefined, () => undefined)
  throw new TypeError(`${method}: the function must return true or false, at once.`)
}
