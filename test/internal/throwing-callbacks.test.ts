import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { asError } from '../../src/errors.js'
import { TimeoutQueue, type TimeoutNode } from '../../src/internal/timeout-queue.js'
import { TimerHeap, type Due } from '../../src/internal/timer-heap.js'

beforeEach(() => void vi.useFakeTimers({ now: 0 }))
afterEach(() => void vi.useRealTimers())

describe('a callback of a deadline that throws', () => {
  it('leaves the other deadlines of its queue their timer, and becomes a process warning', () => {
    const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const due: TimeoutNode[] = []
    const queue = new TimeoutQueue<TimeoutNode>(100, (node) => {
      due.push(node)
      if (due.length === 1) throw new Error('a session ID')
    })
    const nodes = [0, 1, 2].map(() => ({ previous: undefined, next: undefined, dueAt: 0 }))
    queue.add(nodes[0]!)
    queue.add(nodes[1]!)
    vi.advanceTimersByTime(50)
    queue.add(nodes[2]!)
    vi.advanceTimersByTime(100)
    expect(due).toEqual(nodes)
    expect(warnings.mock.calls.map(([message]) => message)).toEqual(['A deadline threw (Error).'])
  })

  it('leaves the other checks of its heap their timer, and becomes a process warning', () => {
    const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const due: Due[] = []
    const heap = new TimerHeap<Due>((item) => {
      due.push(item)
      if (due.length === 1) throw new Error('a session ID')
    })
    const items = [100, 100, 200].map((dueAt) => ({ dueAt, heapIndex: -1 }))
    for (const item of items) heap.set(item, item.dueAt)
    vi.advanceTimersByTime(200)
    expect(due).toHaveLength(3)
    expect(warnings.mock.calls.map(([message]) => message)).toEqual(['A scheduled check threw (Error).'])
  })
})

describe('what was thrown', () => {
  it('is told as it is where it is an Error of another realm', () => {
    const thrown: unknown = runInNewContext("new TypeError('of another realm')")
    expect(thrown instanceof Error).toBe(false)
    expect(asError(thrown)).toBe(thrown)
  })

  it('is the cause of an Error where it is none', () => {
    expect(asError('text')).toMatchObject({ cause: 'text', message: 'A value that is no Error was thrown.' })
  })
})
