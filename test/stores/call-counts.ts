// how often a store's methods are called.
import type { Store } from 'express-session'

export type Counts = Record<'get' | 'set' | 'touch' | 'destroy', number>

const none: Counts = { get: 0, set: 0, touch: 0, destroy: 0 }

/** Counts from now on; to be called before the store is given to a bridge. */
export function callCounts(store: Store) {
  let counts = { ...none }
  let lastAt = performance.now()
  for (const method of Object.keys(none) as (keyof Counts)[]) {
    const original: unknown = Reflect.get(store, method)
    if (typeof original !== 'function') continue
    const counted = function (this: Store, ...args: unknown[]): unknown {
      counts[method] += 1
      lastAt = performance.now()
      return Reflect.apply(original, this, args) as unknown
    }
    Object.defineProperty(store, method, { value: counted, writable: true, configurable: true })
  }
  return {
    reset() {
      counts = { ...none }
    },
    /** What was counted, when nothing has been called for a while. */
    async settled(): Promise<Counts> {
      lastAt = performance.now()
      while (performance.now() - lastAt < 100) await new Promise((resolve) => setTimeout(resolve, 20))
      return { ...counts }
    },
  }
}
