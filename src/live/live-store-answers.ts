/*
 * What a LiveStore may answer. One of the app's own may be written in JavaScript, and what it answers decides who is logged in.
 */
import { StoreUnavailableError } from '../errors.js'
import { isObject } from '../internal/is-object.js'
import { isThenable } from '../internal/is-thenable.js'
import type { ReplaceResult, StoredSession, TouchResult } from '../store/live-store.js'

const stored = '{ record, expiresAt }, where expiresAt is a number or undefined'

/** What each method that is waited for may resolve to. */
const answers = {
  get: `${stored}, or undefined if there is no session`,
  replace: `{ replaced } or { changed }, each with ${stored}, or 'gone'`,
  touch: "'touched' or 'gone'",
  destroy: 'anything',
}

type Method = keyof typeof answers

/** An answer that the contract does not have, which counts as a failure of the store. Says what kind of value it was, never the value. */
export class LiveStoreAnswerError extends StoreUnavailableError {
  constructor(method: Method, verb: 'returned' | 'resolved to', answer: unknown) {
    super(`LiveStore: \`${method}\` ${verb} ${kindOf(answer)}. It must return a promise of ${answers[method]}.`)
  }
}

/** @throws {LiveStoreAnswerError} unless a method returned a promise. */
export function asPromise<T>(method: Method, returned: Promise<T>): Promise<T> {
  if (isThenable(returned)) return returned
  throw new LiveStoreAnswerError(method, 'returned', returned)
}

/** @throws {LiveStoreAnswerError} unless `get` resolved to one of its answers. */
export function asStored(answer: StoredSession | undefined): StoredSession | undefined {
  if (answer === undefined || isStored(answer)) return answer
  throw new LiveStoreAnswerError('get', 'resolved to', answer)
}

/** @throws {LiveStoreAnswerError} unless `replace` resolved to one of its answers. */
export function asReplaceResult(answer: ReplaceResult): ReplaceResult {
  if (answer === 'gone') return answer
  if (isObject(answer) && isStored('replaced' in answer ? answer.replaced : answer.changed)) return answer
  throw new LiveStoreAnswerError('replace', 'resolved to', answer)
}

/** @throws {LiveStoreAnswerError} unless `touch` resolved to one of its answers. */
export function asTouchResult(answer: TouchResult): TouchResult {
  if (answer === 'touched' || answer === 'gone' || (isObject(answer) && isStored(answer.touched))) return answer
  throw new LiveStoreAnswerError('touch', 'resolved to', answer)
}

/* Whether its record can be a session is looked at later: one that cannot is no session, and no failure. */
function isStored(value: unknown): boolean {
  if (!isObject(value) || (value as Partial<StoredSession>).record === undefined) return false
  const { expiresAt } = value as { expiresAt?: unknown }
  return expiresAt === undefined || (typeof expiresAt === 'number' && !Number.isNaN(expiresAt))
}

function kindOf(value: unknown): string {
  if (value === undefined || value === null) return String(value)
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
