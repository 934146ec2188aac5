/*
 * Tells of the calls that this process makes to a store: in HTTP requests, in jobs, by bridges.
 */
import type { Store } from 'express-session'

import { warnOfFailure } from '../internal/warn-of-failure.js'
import { observeMethod, type Method, type StoreCall, type StoreCallListener } from './observed-method.js'

export type { StoreCall, StoreCallListener }

const methods: readonly Method[] = ['set', 'touch', 'destroy', 'clear']

/* One observer for each store, because a method that is wrapped twice cannot be unwrapped in any order. */
const observers = new WeakMap<Store, StoreObserver>()

/** Listens to the calls made to a store. Returns the undo; without listeners the store is as it was before. */
export function observeStoreCalls(store: Store, listener: StoreCallListener): () => void {
  const observer = observers.get(store) ?? new StoreObserver(store)
  observers.set(store, observer)
  return observer.add(listener)
}

class StoreObserver {
  readonly #store: Store
  readonly #listeners = new Set<StoreCallListener>()
  #undo: (() => void)[] = []

  constructor(store: Store) {
    this.#store = store
  }

  add(listener: StoreCallListener): () => void {
    if (this.#listeners.size === 0) this.#undo = methods.map((method) => observeMethod(this.#store, method, this.#tell))
    this.#listeners.add(listener)
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) for (const undo of this.#undo) undo()
    }
  }

  readonly #tell = (call: StoreCall): void => {
    for (const listener of this.#listeners) {
      try {
        listener(call)
      } catch (error) {
        // Whoever has called the store must not get an exception that is ours.
        warnOfFailure("A listener of a session store's calls", error)
      }
    }
  }
}
