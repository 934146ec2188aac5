import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Drain } from '../../src/internal/drain.js'

beforeEach(() => void vi.useFakeTimers({ now: 0 }))
afterEach(() => void vi.useRealTimers())

function start() {
  const forced: object[] = []
  const drain = new Drain<object>(1_000, (item) => forced.push(item))
  let isEmpty = false
  return {
    drain,
    forced,
    isEmpty: async () => {
      void drain.empty().then(() => (isEmpty = true))
      await vi.advanceTimersByTimeAsync(0)
      return isEmpty
    },
  }
}

describe('a drain', () => {
  it('is empty when every item has closed, and forces none of those', async () => {
    const { drain, forced, isEmpty } = start()
    const [one, other] = [{}, {}]
    expect(drain.add(one)).toBe(true)
    expect(drain.add(other)).toBe(true)
    drain.closed(one)
    expect(await isEmpty()).toBe(false)
    drain.closed(other)
    expect(await isEmpty()).toBe(true)
    vi.advanceTimersByTime(10_000)
    expect(forced).toEqual([])
  })

  it('forces an item after its grace, and waits for it for as long again', async () => {
    const { drain, forced, isEmpty } = start()
    const item = {}
    drain.add(item)
    vi.advanceTimersByTime(500)
    expect(drain.add(item)).toBe(false)
    vi.advanceTimersByTime(500)
    expect(forced).toEqual([item])
    expect(await isEmpty()).toBe(false)
    vi.advanceTimersByTime(1_000)
    expect(forced).toEqual([item])
    expect(await isEmpty()).toBe(true)
  })

  it('tells every caller that waits', async () => {
    const { drain } = start()
    const item = {}
    drain.add(item)
    const both = Promise.all([drain.empty(), drain.empty()])
    drain.closed(item)
    await both
  })
})
