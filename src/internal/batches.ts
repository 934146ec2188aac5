/*
 * Long work in batches, so that the event loop gets its turn in between.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'

/** How many items are done before others get their turn. */
export const batchSize = 100

/** Does the first batch at once and every further one a turn of the event loop later. Resolves when all are done. */
export async function forEachInBatches<T>(items: Iterable<T>, each: (item: T) => void): Promise<void> {
  let done = 0
  for (const item of items) {
    if (done > 0 && done % batchSize === 0) await nextTurn()
    each(item)
    done += 1
  }
}
