/*
 * A store's method, wrapped in place, so that its calls and their answers are told.
 */
import type { SessionData, Store } from 'express-session'

import { isThenable } from '../internal/is-thenable.js'

/** A method of a Store that changes sessions. */
export type Method = 'set' | 'touch' | 'destroy' | 'clear'

/** A call that may change a session. One object for each call, whose answer changes the last three fields. */
export interface StoreCall {
  /** Grows from call to call: answers may come in another order. */
  readonly number: number
  readonly method: Method
  /** `undefined` for any session: a `clear`, or an ID that is no string. */
  readonly sessionID: string | undefined
  /** The session that was given to `set` or `touch`. */
  readonly written: SessionData | undefined
  /** When that session expires, as it was at the call, in ms since the epoch; `undefined` where it does not say. */
  readonly expiresAt: number | undefined
  /** False while the store has not answered: the store may still be about to do it. */
  readonly isAnswered: boolean
  /** True if the answer was an error: whether the store did it is unknown. */
  readonly hasFailed: boolean
  /** True if the store itself has said that it is done: it may have had no way to, without a callback and a promise. */
  readonly isDone: boolean
}

/** Called right after a call, and again with the same object at its answer; once if it was answered by then. It must not throw. */
export type StoreCallListener = (call: StoreCall) => void

type StoreMethod = (this: Store, ...args: unknown[]) => unknown

/** Wraps a method if the store has it. Returns the undo. */
export function observeMethod(store: Store, method: Method, tell: StoreCallListener): () => void {
  const original: unknown = Reflect.get(store, method)
  if (typeof original !== 'function') return () => undefined
  const own = Object.getOwnPropertyDescriptor(store, method)
  const observed = observedMethod(method, original as StoreMethod, tell)
  Object.defineProperty(store, method, {
    value: observed,
    configurable: true,
    writable: true,
    enumerable: own?.enumerable ?? false,
  })
  return () => {
    // The app may have wrapped the method after us and goes on calling ours, which has no listeners then.
    if ((store[method] as unknown) !== observed) return
    if (own === undefined) Reflect.deleteProperty(store, method)
    else Object.defineProperty(store, method, own)
  }
}

function observedMethod(method: Method, original: StoreMethod, tell: StoreCallListener): StoreMethod {
  return function (...args) {
    const call = new ObservedCall(method, args, tell)
    const withCallback = argumentsWithCallback(args, call)
    try {
      const returned = original.apply(this, withCallback ?? args)
      if (isThenable(returned)) call.awaitPromise(returned, withCallback !== undefined)
      // No callback and no promise: there will be no other answer.
      else if (withCallback === undefined) call.isAnswered = true
      return returned
    } catch (error) {
      call.threw()
      throw error
    } finally {
      // A MemoryStore has done it by now and calls back a turn later: messages would slip through in between.
      call.tellUnlessAnswerWasTold()
    }
  }
}

let calls = 0

class ObservedCall implements StoreCall {
  readonly number: number
  readonly method: Method
  readonly sessionID: string | undefined
  readonly written: SessionData | undefined
  readonly expiresAt: number | undefined
  isAnswered = false
  hasFailed = false
  isDone = false
  readonly #tell: StoreCallListener
  #answerWasTold = false

  constructor(method: Method, [sessionID, written]: unknown[], tell: StoreCallListener) {
    calls += 1
    this.number = calls
    this.method = method
    this.sessionID = method !== 'clear' && typeof sessionID === 'string' ? sessionID : undefined
    this.written = method === 'set' || method === 'touch' ? (written as SessionData | undefined) : undefined
    this.expiresAt = expiryOf(this.written)
    this.#tell = tell
  }

  /** Only the first answer counts: connect-redis calls back a second time when the callback throws. */
  answered(error: unknown): void {
    if (this.#answerWasTold) return
    this.isAnswered = this.#answerWasTold = true
    this.hasFailed ||= Boolean(error)
    this.isDone = !this.hasFailed
    this.#tell(this)
  }

  /** Whoever called is told by the exception, unless the callback has answered before it. */
  threw(): void {
    if (!this.#answerWasTold) this.isAnswered = this.hasFailed = true
  }

  /** Beside a callback, a promise that resolves says nothing: an async method may return before its work is done. */
  awaitPromise(promise: PromiseLike<unknown>, hasCallback: boolean): void {
    promise.then(
      () => {
        if (!hasCallback) this.answered(undefined)
      },
      () => {
        this.answered(true)
      },
    )
  }

  tellUnlessAnswerWasTold(): void {
    if (!this.#answerWasTold) this.#tell(this)
  }
}

/* The callback is the last argument. Where there is none, none is added: some stores return a promise then. */
function argumentsWithCallback(args: unknown[], call: ObservedCall): unknown[] | undefined {
  const callback = args.at(-1)
  if (typeof callback !== 'function') return undefined
  const observedCallback = function (this: unknown, ...answer: unknown[]): unknown {
    call.answered(answer[0])
    return (callback as (...answer: unknown[]) => unknown).apply(this, answer)
  }
  return [...args.slice(0, -1), observedCallback]
}

/* The app may give its store anything, even an object whose getters throw. */
function expiryOf(written: { cookie?: { expires?: unknown } | null } | undefined): number | undefined {
  try {
    const expires = written?.cookie?.expires
    const at = expires instanceof Date ? expires.valueOf() : typeof expires === 'string' ? Date.parse(expires) : NaN
    return Number.isNaN(at) ? undefined : at
  } catch {
    return undefined
  }
}
