/*
 * The calls that this process makes to a store: by HTTP requests, by jobs, by other bridges.
 */
import type { SessionData, Store } from 'express-session'

import { isThenable } from '../internal/is-thenable.js'

/** A call that may change a session. */
export interface StoreCall {
  readonly method: Method
  /** Undefined: any session. */
  readonly sessionID: string | undefined
  /** The session that was given to `set` or `touch`. */
  readonly written: SessionData | undefined
  /** False while the store has not answered: what it does may be still to come. */
  readonly isAnswered: boolean
  /** It was answered with an error: nobody knows what the store has done. */
  readonly hasFailed: boolean
}

/** Told right after a call, and again, with the same object, when the store has answered it. */
export type StoreCallListener = (call: StoreCall) => void

/* One hook for a store, whoever listens: wrapped twice, it could not be undone in any order. */
const heard = new WeakMap<Store, StoreCalls>()

/** Listens to the calls made to a store. Returns what ends it; the store is as it was when nobody listens any more. */
export function observeStoreCalls(store: Store, listener: StoreCallListener): () => void {
  const calls = heard.get(store) ?? new StoreCalls(store)
  heard.set(store, calls)
  return calls.add(listener)
}

/** The methods of a Store that change sessions. */
export type Method = 'set' | 'touch' | 'destroy' | 'clear'
const methods: readonly Method[] = ['set', 'touch', 'destroy', 'clear']

class StoreCalls {
  readonly #store: Store
  readonly #listeners = new Set<StoreCallListener>()
  readonly #undo: (() => void)[] = []

  constructor(store: Store) {
    this.#store = store
  }

  add(listener: StoreCallListener): () => void {
    if (this.#listeners.size === 0) this.#install()
    this.#listeners.add(listener)
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#uninstall()
    }
  }

  #install(): void {
    for (const method of methods) {
      const original: unknown = Reflect.get(this.#store, method)
      if (typeof original === 'function') this.#undo.push(this.#hook(method, original as StoreMethod))
    }
  }

  #uninstall(): void {
    for (const undo of this.#undo.splice(0)) undo()
  }

  #hook(method: Method, original: StoreMethod): () => void {
    const store = this.#store
    const own = Object.getOwnPropertyDescriptor(store, method)
    const tell = this.#tell
    const hooked = function (this: Store, ...args: unknown[]): unknown {
      const call = {
        method,
        sessionID: method !== 'clear' && typeof args[0] === 'string' ? args[0] : undefined,
        written: method === 'set' || method === 'touch' ? (args[1] as SessionData | undefined) : undefined,
        isAnswered: true,
        hasFailed: false,
      }
      const answered = (error?: unknown): void => {
        call.isAnswered = true
        // Some call back with an error and resolve their promise all the same: connect-redis is one of them.
        call.hasFailed ||= Boolean(error)
        tell(call)
      }
      const withCallback = withCallbackHeard(args, answered)
      call.isAnswered = withCallback === undefined
      try {
        const returned = original.apply(this, withCallback ?? args)
        if (isThenable(returned)) {
          // Without a callback, the promise is the answer.
          if (withCallback === undefined) call.isAnswered = false
          returned.then(
            () => {
              answered()
            },
            () => {
              answered(true)
            },
          )
        }
        return returned
      } catch (error) {
        call.isAnswered = call.hasFailed = true
        throw error
      } finally {
        // MemoryStore has done it by now, though it calls back later: between the two, messages would slip through.
        tell(call)
      }
    }
    Object.defineProperty(store, method, {
      value: hooked,
      configurable: true,
      writable: true,
      enumerable: own?.enumerable ?? false,
    })
    return () => {
      // Somebody may have wrapped the method after us, and goes on calling ours, which then tells nobody.
      if ((store[method] as unknown) !== hooked) return
      if (own === undefined) Reflect.deleteProperty(store, method)
      else Object.defineProperty(store, method, own)
    }
  }

  readonly #tell = (call: StoreCall): void => {
    for (const listener of this.#listeners) listener(call)
  }
}

type StoreMethod = (this: Store, ...args: unknown[]) => unknown

/* The callback is the last argument if there is one; where there is none, none is put in: some stores then return a promise. */
function withCallbackHeard(args: unknown[], answered: (error?: unknown) => void): unknown[] | undefined {
  const callback = args.at(-1)
  if (typeof callback !== 'function') return undefined
  const heardCallback = function (this: unknown, ...answer: unknown[]): unknown {
    answered(answer[0])
    return (callback as (...answer: unknown[]) => unknown).apply(this, answer)
  }
  return [...args.slice(0, -1), heardCallback]
}
