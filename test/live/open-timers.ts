// the timeouts that have been set since and have neither fired nor been cleared.
import { createHook } from 'node:async_hooks'
import { atEnd } from '../support/at-end.js'

export interface OpenTimers {
  readonly count: number
  /** Those of them that keep the process running. */
  readonly referenced: number
  /** All that were ever set. */
  readonly set: number
}

export function watchTimers(): OpenTimers {
  const open = new Map<number, NodeJS.Timeout>()
  let set = 0
  const hook = createHook({
    init(asyncID, type, _trigger, resource) {
      if (type !== 'Timeout') return
      open.set(asyncID, resource as NodeJS.Timeout)
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
    get referenced() {
      return [...open.values()].filter((timer) => timer.hasRef()).length
    },
    get set() {
      return set
    },
  }
}
