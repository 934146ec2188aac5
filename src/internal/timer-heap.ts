/*
 * When to look at which session next: one timer for all of them.
 */
import { systemClock, type Clock } from './clock.js'
import { warnOfFailure } from './warn-of-failure.js'

/** Something with a time at which to look at it. The heap owns both numbers. */
export interface Due {
  /** In whole ms since the heap was made: for 24 days an integer that needs no object of its own, which would be 16 bytes. */
  dueAt: number
  /** Its index in the heap; -1 while it is in none. */
  heapIndex: number
}

/** The longest that the timer sleeps, in ms: the clock may be set meanwhile, or the machine may sleep. */
const longestMs = 30_000

/** By how much the time of day may run ahead of the timers', or behind, before that counts as set, in ms. */
const driftMs = 1_000

/** How many are looked at before others get their turn. */
const batchSize = 100

/** An indexed binary heap: a removed item is gone at once, so nothing keeps a session that has ended. */
export class TimerHeap<T extends Due> {
  readonly #heap: T[] = []
  readonly #onDue: (item: T) => void
  readonly #clock: Clock
  readonly #madeAt: number
  #disarm: (() => void) | undefined
  #armedFor = Infinity
  #skew: number

  constructor(onDue: (item: T) => void, clock = systemClock) {
    this.#onDue = onDue
    this.#clock = clock
    this.#skew = skewOf(clock)
    this.#madeAt = clock.now()
  }

  /** Looks at an item at that time (ms since the epoch) in place of the time it had; Infinity: never. */
  set(item: T, time: number): void {
    if (time === Infinity) return this.remove(item)
    const dueAt = Math.ceil(time - this.#madeAt)
    const earlier = item.heapIndex === -1 || dueAt < item.dueAt
    item.dueAt = dueAt
    if (item.heapIndex === -1) {
      item.heapIndex = this.#heap.length
      this.#heap.push(item)
    }
    if (earlier) this.#rise(item)
    else this.#sink(item)
    this.#arm()
  }

  remove(item: T): void {
    if (item.heapIndex === -1) return
    const last = this.#heap.pop() as T
    if (last !== item) {
      last.heapIndex = item.heapIndex
      this.#heap[last.heapIndex] = last
      this.#rise(last)
      this.#sink(last)
    }
    item.heapIndex = -1
  }

  /** Stops the timer, for good. */
  dispose(): void {
    this.#disarm?.()
  }

  #arm(): void {
    const first = this.#heap[0]
    if (first === undefined) return
    const isClockSet = this.#isClockSet()
    // A timer that fires too early costs less than arming it anew for every session that comes and goes.
    if (first.dueAt >= this.#armedFor && !isClockSet) return
    this.#disarm?.()
    this.#armedFor = first.dueAt
    const delayMs = isClockSet ? 0 : Math.min(Math.max(first.dueAt - this.#now(), 0), longestMs)
    this.#disarm = this.#clock.after(delayMs, this.#fire)
  }

  readonly #fire = (): void => {
    this.#armedFor = Infinity
    const now = this.#now()
    // These are times of a clock that has been set: all are looked at now, and get new ones. Equal times keep the heap a heap.
    if (this.#isClockSet()) for (const item of this.#heap) item.dueAt = now
    this.#skew = skewOf(this.#clock)
    for (let done = 0; done < batchSize; done += 1) {
      const first = this.#heap[0]
      if (first === undefined || first.dueAt > now) break
      this.remove(first)
      try {
        this.#onDue(first)
      } catch (error) {
        // The others must not lose their timer for it.
        warnOfFailure('A scheduled check', error)
      }
    }
    // Those that are left of this time get their turn after the other work of the event loop.
    this.#arm()
  }

  #now(): number {
    return this.#clock.now() - this.#madeAt
  }

  /* Since the timer fired last. */
  #isClockSet(): boolean {
    return Math.abs(skewOf(this.#clock) - this.#skew) > driftMs
  }

  #rise(item: T): void {
    while (item.heapIndex > 0) {
      const parent = this.#heap[(item.heapIndex - 1) >> 1] as T
      if (parent.dueAt <= item.dueAt) return
      this.#swap(item, parent)
    }
  }

  #sink(item: T): void {
    for (;;) {
      const left = this.#heap[2 * item.heapIndex + 1]
      const right = this.#heap[2 * item.heapIndex + 2]
      const child = right !== undefined && left !== undefined && right.dueAt < left.dueAt ? right : left
      if (child === undefined || child.dueAt >= item.dueAt) return
      this.#swap(child, item)
    }
  }

  #swap(upper: T, lower: T): void {
    const heapIndex = upper.heapIndex
    upper.heapIndex = lower.heapIndex
    lower.heapIndex = heapIndex
    this.#heap[upper.heapIndex] = upper
    this.#heap[lower.heapIndex] = lower
  }
}

/* Timers run by another clock than the time of day, which is never set. */
function skewOf(clock: Clock): number {
  return clock.now() - clock.elapsed()
}
