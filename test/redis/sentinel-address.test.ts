import { EventEmitter } from 'node:events'
import type { RedisSentinelType } from 'redis'
import { expect, it } from 'vitest'
import { SentinelMaster } from '../../src/redis/sentinel.js'
import { CallTimeouts } from '../../src/internal/call-timeouts.js'
import { atEnd } from '../support/at-end.js'

it('the Sentinel that knows no master is asked for it once by all who read, and again when that took too long', async () => {
  let asked = 0
  const sentinel = Object.assign(new EventEmitter(), {
    isReady: false,
    withCommandOptions: () => undefined,
    // As node-redis: it does not settle before there is a master.
    _execute: () => new Promise(() => (asked += 1)),
  })
  const timeoutMs = 20
  const deadlines = new CallTimeouts(timeoutMs)
  const listener = {
    onInvalidate: () => undefined,
    onMissed: () => undefined,
    onRefused: () => undefined,
    onTracked: () => undefined,
  }
  const master = new SentinelMaster(sentinel as unknown as RedisSentinelType, { deadlines, timeoutMs }, listener)
  atEnd(async () => {
    await master.close()
    deadlines.close()
  })
  const readAll = () => Promise.allSettled(Array.from({ length: 50 }, (_, index) => master.read(`id${index}`, {})))
  for (const round of [1, 2]) {
    for (const { status } of await readAll()) expect(status).toBe('rejected')
    expect(asked).toBe(round)
  }
})
