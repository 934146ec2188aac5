import { describe, expect, it } from 'vitest'
import { stopClocks } from '../live/bound.js'
import { scaled, seedOf } from '../support/soak.js'
import { simulate } from './slow-simulation.js'

const runs = scaled(80, 8_000)

describe(`${runs} times some minutes of everything at once, on a store that answers late and out of order`, () => {
  it('leave open, ended, shown and written what should be', async () => {
    const pass = stopClocks()
    const first = seedOf('SLOW_SEED')
    const wrong: string[] = []
    let done = 0
    for (let seed = first; seed < first + runs && wrong.length < 5; seed += 1) {
      wrong.push(...(await simulate(seed, pass)).map((what) => `SLOW_SEED=${seed}: ${what}`))
      done += 1
    }
    expect(wrong).toEqual([])
    expect(done).toBe(runs)
  })
})
