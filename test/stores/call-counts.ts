// how often a store's methods are called.
import type { Store } from 'express-session'

export type Counts = Record<'get' | 'set' | 'touch' | 'destroy', number>

const none: Counts = { get: 0, set: 0, touch: 0, destroy: 0 }

/** Counts from now on; to be called before the store is given to a bridge. */
export function callCounts(store: Store) {
  let counts = { ...none }
  let total = 0
  let unanswered = 0
  for (const method of Object.keys(none) as (keyof Counts)[]) {
    const original: unknown = Reflect.get(store, method)
    if (typeof original !== 'function') continue
    const counted = function (this: Store, ...args: unknown[]): unknown {
      counts[method] += 1
      total += 1
      const callback = args.at(-1)
      if (typeof callback !== 'function') return Reflect.apply(original, this, args) as unknown
      let isAnswered = false
      unanswered += 1
      const answered = function (this: unknown, ...answer: unknown[]): unknown {
        if (!isAnswered) unanswered -= 1
        isAnswered = true
        return Reflect.apply(callback, this, answer) as unknown
      }
      return Reflect.apply(original, this, [...args.slice(0, -1), answered]) as unknown
    }
    Object.defineProperty(store, method, { value: counted, writable: true, configurable: true })
  }
  return {
    reset() {
      counts = { ...none }
    },
    /** What was counted, when all is answered and nothing has been called for a while: for turns, which a busy machine takes, too. */
    async settled(): Promise<Counts> {
      for (let quiet = 0, before = total; quiet < 6; quiet += 1) {
        await new Promise((resolve) => setTimeout(resolve, 20))
        if (unanswered > 0 || total > before) quiet = 0
        before = total
      }
      return { ...counts }
    },
  }
}
