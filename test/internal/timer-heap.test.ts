import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { longestTimerMs } from '../../src/internal/clock.js'
import { TimeoutQueue, type TimeoutNode } from '../../src/internal/timeout-queue.js'
import { TimerHeap, type Due } from '../../src/internal/timer-heap.js'
import { rest } from '../live/bound.js'
import { watchTimers } from '../live/open-timers.js'

beforeEach(() => void vi.useFakeTimers({ now: 0 }))
afterEach(() => void vi.useRealTimers())

interface Item extends Due {
  readonly name: number
}

const item = (name: number): Item => ({ name, dueAt: Infinity, heapIndex: -1 })

describe('deadlines', () => {
  it('hand over each item when its time has come, and not before', () => {
    const due: number[] = []
    const deadlines = new TimerHeap<Item>(({ name }) => due.push(name))
    for (const [name, at] of [300, 100, 200].entries()) deadlines.set(item(name), at)
    vi.advanceTimersByTime(99)
    expect(due).toEqual([])
    vi.advanceTimersByTime(1)
    expect(due).toEqual([1])
    vi.advanceTimersByTime(200)
    expect(due).toEqual([1, 2, 0])
  })

  it('do as the plain list does, whatever is set, put off, brought forward and removed', () => {
    const name = fc.nat({ max: 31 })
    const step = fc.oneof(
      fc.record({ kind: fc.constant('set' as const), name, inMs: fc.integer({ min: -10, max: 1_000 }) }),
      fc.record({ kind: fc.constant('never' as const), name, inMs: fc.constant(0) }),
      fc.record({ kind: fc.constant('remove' as const), name, inMs: fc.constant(0) }),
      fc.record({ kind: fc.constant('pass' as const), name, inMs: fc.nat({ max: 60 }) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
        vi.setSystemTime(0)
        const due: string[] = []
        const expected: string[] = []
        const items = Array.from({ length: 32 }, (_, index) => item(index))
        const deadlines = new TimerHeap<Item>((one) => due.push(`${one.name} at ${Math.max(one.dueAt, 0)}`))
        const model = new Map<number, number>()
        const modelPasses = (until: number): void => {
          const over = [...model].filter(([, at]) => at <= until)
          for (const [one, at] of over) {
            model.delete(one)
            expected.push(`${one} at ${Math.max(at, 0)}`)
          }
        }
        for (const { kind, name: one, inMs } of steps) {
          const at = Date.now() + inMs
          if (kind === 'set') {
            deadlines.set(items[one]!, at)
            model.set(one, at)
          } else if (kind === 'pass') {
            vi.advanceTimersByTime(inMs)
            modelPasses(Date.now())
            expect([...due].sort()).toEqual([...expected].sort())
          } else {
            if (kind === 'never') deadlines.set(items[one]!, Infinity)
            else deadlines.remove(items[one]!)
            model.delete(one)
          }
          if (items.some(({ name: each, heapIndex }) => model.has(each) !== (heapIndex !== -1)))
            expect.fail('wrong places')
        }
        vi.advanceTimersByTime(2_000)
        modelPasses(Date.now())
        deadlines.dispose()
        expect([...due].sort()).toEqual([...expected].sort())
      }),
      { numRuns: 200 },
    )
  })

  it('hand over what is due together in the order of its time', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 900 }), { maxLength: 100 }), (times) => {
        vi.setSystemTime(0)
        const due: number[] = []
        const deadlines = new TimerHeap<Item>(({ dueAt }) => due.push(dueAt))
        for (const [name, at] of times.entries()) deadlines.set(item(name), at)
        // Less than what counts as a clock that was set.
        vi.setSystemTime(900)
        vi.advanceTimersByTime(2_000)
        expect(due).toEqual([...times].sort((one, other) => one - other))
      }),
      { numRuns: 200 },
    )
  })

  it('hand over ten thousand that are due together a hundred at a time, so that others get their turn', () => {
    let due = 0
    const deadlines = new TimerHeap<Item>(() => void (due += 1))
    for (let name = 0; name < 10_000; name += 1) deadlines.set(item(name), 10)
    const slices: number[] = []
    while (vi.getTimerCount() > 0) {
      const before = due
      vi.advanceTimersToNextTimer()
      slices.push(due - before)
    }
    expect(due).toBe(10_000)
    expect(Math.max(...slices)).toBeLessThanOrEqual(100)
  })

  it('may be set anew by what they hand over', () => {
    const due: number[] = []
    const deadlines: TimerHeap<Item> = new TimerHeap<Item>((one) => {
      due.push(Date.now())
      if (due.length < 5) deadlines.set(one, Date.now() + 10)
    })
    deadlines.set(item(0), 10)
    vi.advanceTimersByTime(1_000)
    expect(due).toEqual([10, 20, 30, 40, 50])
  })

  it('keep one timer, which holds no process open, and none after dispose', async () => {
    vi.useRealTimers()
    const timers = watchTimers()
    const deadlines = new TimerHeap<Item>(() => undefined)
    for (let name = 0; name < 1_000; name += 1) deadlines.set(item(name), Date.now() + 60_000 - name)
    await rest(2)
    expect(timers.count).toBe(1)
    deadlines.dispose()
    await rest(2)
    expect(timers.count).toBe(0)
  })

  it('arm it once for a thousand of which each is due later than the one before', async () => {
    vi.useRealTimers()
    const timers = watchTimers()
    const deadlines = new TimerHeap<Item>(() => undefined)
    for (let name = 0; name < 1_000; name += 1) deadlines.set(item(name), Date.now() + 60_000 + name)
    deadlines.dispose()
    expect(timers.set).toBe(1)
  })

  it('hand over in time what takes the place of one that was removed', () => {
    const due: number[] = []
    const deadlines = new TimerHeap<Item>(({ dueAt }) => due.push(dueAt))
    // In a heap: 100 above 110 and 120 on the left, 11 above 20 and 12 on the right. The last one goes where 110 was.
    const items = [10, 100, 11, 110, 120, 20, 12].map((dueAt) => {
      const one = item(dueAt)
      deadlines.set(one, dueAt)
      return one
    })
    deadlines.remove(items[3]!)
    vi.advanceTimersByTime(12)
    expect(due).toEqual([10, 11, 12])
  })

  it('hand over everything once when the clock has been set, and from then on what is due', () => {
    const due: number[] = []
    const deadlines = new TimerHeap<Item>(({ name }) => due.push(name))
    const items = [item(0), item(1)] as const
    for (const one of items) deadlines.set(one, 50_000)
    vi.setSystemTime(-3_600_000)
    vi.advanceTimersByTime(50_000)
    expect(due).toEqual([0, 1])
    deadlines.set(items[0], Date.now() + 10)
    deadlines.set(items[1], Date.now() + 10_000)
    vi.advanceTimersByTime(10)
    expect(due).toEqual([0, 1, 0])
  })

  /* The timer slept on by the old time of day, for up to half a minute. */
  it('hand over everything at once when one is set after the clock has been set ahead', () => {
    const due: number[] = []
    const deadlines = new TimerHeap<Item>(({ name }) => due.push(name))
    deadlines.set(item(0), 50_000)
    vi.setSystemTime(3_600_000)
    deadlines.set(item(1), Date.now() + 100)
    vi.advanceTimersByTime(100)
    expect(due).toEqual([0, 1])
  })

  it('keep nothing of an item that was removed', () => {
    const deadlines = new TimerHeap<Item>(() => undefined)
    const items = Array.from({ length: 100 }, (_, name) => item(name))
    for (const one of items) deadlines.set(one, 1_000)
    for (const one of items) deadlines.remove(one)
    expect(items.every(({ heapIndex }) => heapIndex === -1)).toBe(true)
    deadlines.remove(items[0]!)
    vi.advanceTimersByTime(2_000)
  })

  it('reach beyond the longest time that a timer can wait', () => {
    const due: number[] = []
    const deadlines = new TimerHeap<Item>(() => due.push(Date.now()))
    const later = longestTimerMs + 60_000
    deadlines.set(item(0), later)
    vi.advanceTimersByTime(later - 1)
    expect(due).toEqual([])
    vi.advanceTimersByTime(1)
    expect(due).toEqual([later])
  })
})

class Call implements TimeoutNode {
  previous: TimeoutNode | undefined = undefined
  next: TimeoutNode | undefined = undefined
  dueAt = 0
  readonly name: number

  constructor(name: number) {
    this.name = name
  }
}

describe('a queue of equal deadlines', () => {
  it('does as the plain list does, whatever is added, removed and shifted', () => {
    const name = fc.nat({ max: 9 })
    const step = fc.oneof(
      fc.record({ kind: fc.constantFrom('add' as const, 'remove' as const), name, ms: fc.constant(0) }),
      fc.record({ kind: fc.constant('shift' as const), name, ms: fc.constant(0) }),
      fc.record({ kind: fc.constant('pass' as const), name, ms: fc.nat({ max: 60 }) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const due: number[] = []
        const expected: number[] = []
        const calls = Array.from({ length: 10 }, (_, index) => new Call(index))
        const queue = new TimeoutQueue<Call>(50, ({ name: one }) => due.push(one))
        let model: { name: number; at: number }[] = []
        for (const { kind, name: one, ms } of steps) {
          const waits = model.some((each) => each.name === one)
          if (kind === 'add' && !waits) {
            queue.add(calls[one]!)
            model.push({ name: one, at: performance.now() + 50 })
          } else if (kind === 'remove') {
            queue.remove(calls[one]!)
            model = model.filter((each) => each.name !== one)
          } else if (kind === 'shift') {
            expect(queue.shift()?.name).toBe(model.shift()?.name)
          } else if (kind === 'pass') {
            vi.advanceTimersByTime(ms)
            expected.push(...model.filter(({ at }) => at <= performance.now()).map((each) => each.name))
            model = model.filter(({ at }) => at > performance.now())
          }
          expect(queue.size).toBe(model.length)
        }
        vi.advanceTimersByTime(200)
        expected.push(...model.map((each) => each.name))
        expect(due).toEqual(expected)
        expect(queue.size).toBe(0)
        queue.dispose()
      }),
      { numRuns: 500 },
    )
  })

  it('keeps one timer, and none after dispose', async () => {
    vi.useRealTimers()
    const timers = watchTimers()
    const queue = new TimeoutQueue<Call>(60_000, () => undefined)
    for (let name = 0; name < 1_000; name += 1) queue.add(new Call(name))
    await rest(2)
    expect(timers.count).toBe(1)
    queue.dispose()
    await rest(2)
    expect(timers.count).toBe(0)
  })

  it('waits forever when its delay is Infinity', () => {
    vi.useRealTimers()
    const timers = watchTimers()
    const queue = new TimeoutQueue<Call>(Infinity, () => undefined)
    queue.add(new Call(0))
    expect(timers.count).toBe(0)
    expect(queue.size).toBe(1)
  })
})
