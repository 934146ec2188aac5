import { describe, expect, it, vi } from 'vitest'
import { isSoak } from '../support/soak.js'
import { tryInterleavings } from './interleavings.js'
import { smallWorlds, soakDepth } from './small-worlds.js'

describe('every order in which things can happen', () => {
  it.each(Object.entries(smallWorlds))('keeps the promises of the bridge: %s', async (name, { rules, depth }) => {
    vi.spyOn(Math, 'random').mockReturnValue(0.5)
    const events = isSoak ? soakDepth : depth
    const { interleavings, states, failures } = await tryInterleavings(rules, events)
    console.log(`${name}: ${interleavings} interleavings of ${events} events, ${states} states`)
    expect(failures).toEqual([])
  })
})
