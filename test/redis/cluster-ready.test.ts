import type { RedisClusterType } from 'redis'
import { describe, expect, it } from 'vitest'
import { Cluster } from '../../src/redis/cluster.js'
import { slotCount } from '../../src/redis/key-slot.js'
import { CallTimeouts } from '../../src/internal/call-timeouts.js'

const timeoutMs = 1_000

/** Whether a write would be sent to a Cluster whose client says this of itself. */
function takesWrites(client: { isReady?: boolean; isOpen: boolean }, isNodeReady = true): boolean {
  const slots = Array.from({ length: slotCount }, () => ({ master: { client: { isReady: isNodeReady } } }))
  const cluster = { ...client, slots, _options: {}, withCommandOptions: () => undefined }
  const listener = {
    onInvalidate: () => undefined,
    onMissed: () => undefined,
    onRefused: () => undefined,
    onTracked: () => undefined,
  }
  const limits = { deadlines: new CallTimeouts(timeoutMs), timeoutMs }
  return new Cluster(cluster as unknown as RedisClusterType, limits, listener).isReady('id')
}

describe('a Cluster takes writes', () => {
  it('while its client is ready, and so is the node', () => {
    expect(takesWrites({ isReady: true, isOpen: true })).toBe(true)
    expect(takesWrites({ isReady: false, isOpen: true })).toBe(false)
    expect(takesWrites({ isReady: true, isOpen: true }, false)).toBe(false)
  })

  it('while its client is open, where that does not say whether it is ready', () => {
    expect(takesWrites({ isOpen: true })).toBe(true)
    expect(takesWrites({ isOpen: false })).toBe(false)
    expect(takesWrites({ isOpen: true }, false)).toBe(false)
  })
})
