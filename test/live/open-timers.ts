// In: nothing. Out: the timeouts that have been set since and have neither fired nor been cleared.
import { createHook } from 'node:async_hooks'
import { atEnd } from '../support/at-end.js'

export interface OpenTimers {
  readonly count: number
  /** All that were ever set. */
  readonly set: number
}

export function watchTimers(): OpenTimers {
  const open = new Set<number>()
  let set = 0
  const hook = createHook({
    init(asyncID, type) {
      if (type !== 'Timeout') return
      open.add(asyncID)
      set += 1
    },
    destroy(asyncID) {
      open.delete(asyncID)
    },
  }).enable()
  atEnd(() => hook.disable())
  return {
    get count() {
      return open.size
    },
    get set() {
      return set
    },
  }
}
