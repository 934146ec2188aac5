/*
 * Things that are closing: waited for, and forced if they take longer than a grace.
 */
import { TimeoutQueue, type TimeoutNode } from './timeout-queue.js'

/** Connections, sockets or requests that have been told to close and have not closed yet. */
export class Drain<T extends object> {
  readonly #force: (item: T) => unknown
  readonly #closing = new Map<T, ClosingItem<T>>()
  readonly #deadlines: TimeoutQueue<ClosingItem<T>>
  #onEmpty: (() => void)[] = []

  /**
   * @param graceMs how long an item may take to close by itself, and again as long after it was forced
   * @param force closes an item at once, and must not throw; where it returns false, there is no way to, and the item is given up
   */
  constructor(graceMs: number, force: (item: T) => unknown) {
    this.#force = force
    this.#deadlines = new TimeoutQueue(graceMs, (closing) => {
      this.#onDue(closing)
    })
  }

  /** Begins an item's grace. An item that is closing already keeps the grace that it has, and the answer is false. */
  add(item: T): boolean {
    if (this.#closing.has(item)) return false
    const closing = new ClosingItem(item)
    this.#closing.set(item, closing)
    this.#deadlines.add(closing)
    return true
  }

  /** To be called when an item has closed; nothing happens for one that is not here. */
  closed(item: T): void {
    const closing = this.#closing.get(item)
    if (closing === undefined) return
    this.#deadlines.remove(closing)
    this.#remove(closing)
  }

  /** Resolves when all of them have closed, or did not even when they were forced. */
  async empty(): Promise<void> {
    if (this.#closing.size > 0) await new Promise<void>((resolve) => this.#onEmpty.push(resolve))
  }

  /** Stops the timer. */
  dispose(): void {
    this.#deadlines.dispose()
  }

  /* What is forced closes a moment later, and its listeners may still do something: it gets a second grace for that. */
  #onDue(closing: ClosingItem<T>): void {
    if (closing.isForced) return this.#remove(closing)
    closing.isForced = true
    if (this.#force(closing.item) === false) return this.#remove(closing)
    if (this.#closing.has(closing.item)) this.#deadlines.add(closing)
  }

  #remove(closing: ClosingItem<T>): void {
    this.#closing.delete(closing.item)
    if (this.#closing.size > 0) return
    this.#deadlines.dispose()
    for (const resolve of this.#onEmpty.splice(0)) resolve()
  }
}

class ClosingItem<T> implements TimeoutNode {
  previous: TimeoutNode | undefined = undefined
  next: TimeoutNode | undefined = undefined
  dueAt = 0
  isForced = false
  readonly item: T

  constructor(item: T) {
    this.item = item
  }
}
