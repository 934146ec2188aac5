/*
 * Many deadlines of one length, kept by one timer.
 */
import { warnOfFailure } from './warn-of-failure.js'

/** An item of a TimeoutQueue. The queue owns these fields. */
export interface TimeoutNode {
  previous: TimeoutNode | undefined
  next: TimeoutNode | undefined
  /** When its time is up, by `performance.now()`; 0 while it is in no queue. */
  dueAt: number
}

/**
 * A first-in, first-out list: all delays are equal, so the head is always due first, and both ends cost the same for one
 * and for a hundred thousand. A linked list, not a Set, whose holes the garbage collector has to carry along.
 */
export class TimeoutQueue<T extends TimeoutNode> {
  readonly #delayMs: number
  readonly #onDue: (item: T) => void
  #head: T | undefined
  #tail: T | undefined
  #timer: NodeJS.Timeout | undefined
  #size = 0

  /** @param delayMs how long each item may wait; Infinity: forever */
  constructor(delayMs: number, onDue: (item: T) => void) {
    this.#delayMs = delayMs
    this.#onDue = onDue
  }

  get size(): number {
    return this.#size
  }

  add(item: T): void {
    item.dueAt = performance.now() + this.#delayMs
    item.previous = this.#tail
    if (this.#tail === undefined) this.#head = item
    else this.#tail.next = item
    this.#tail = item
    this.#size += 1
    if (this.#timer === undefined) this.#arm(this.#delayMs)
  }

  /** Takes an item out before its time; nothing happens if it is out already. */
  remove(item: T): void {
    if (item.dueAt === 0) return
    const previous = item.previous as T | undefined
    const next = item.next as T | undefined
    if (previous === undefined) this.#head = next
    else previous.next = next
    if (next === undefined) this.#tail = previous
    else next.previous = previous
    item.previous = item.next = undefined
    item.dueAt = 0
    this.#size -= 1
  }

  /** Takes the oldest out before its time. */
  shift(): T | undefined {
    const head = this.#head
    if (head !== undefined) this.remove(head)
    return head
  }

  /** Stops the timer. */
  dispose(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  // The timer is left running when the queue empties: the next item most often comes before it fires.
  #arm(delayMs: number): void {
    if (this.#delayMs === Infinity) return
    this.#timer = setTimeout(() => {
      this.#fire()
    }, Math.ceil(delayMs)).unref()
  }

  #fire(): void {
    const now = performance.now()
    while (this.#head !== undefined && this.#head.dueAt <= now) {
      const due = this.#head
      this.remove(due)
      try {
        this.#onDue(due)
      } catch (error) {
        // The others must not lose their timer for it.
        warnOfFailure('A deadline', error)
      }
    }
    this.#timer = undefined
    if (this.#head !== undefined) this.#arm(this.#head.dueAt - now)
  }
}
