import { describe, expect, it, vi } from 'vitest'
import {
  dropDateWhenItPasses,
  letInAfterOneLoad,
  overlookDestroys,
  readAfterOwnLogout,
  takeOlderYes,
} from './broken-bridges.js'
import { tryInterleavings } from './interleavings.js'
import { smallWorlds, soakDepth, type WorldName } from './small-worlds.js'

interface Fault {
  readonly fault: string
  readonly breakBridge: () => void
  readonly world: WorldName
  /** What the search must say. */
  readonly says: string
}

const faults: Fault[] = [
  {
    fault: 'a handshake that lets in what was logged out while `authorize` was asked',
    breakBridge: letInAfterOneLoad,
    world: 'a handshake whose session is touched and logged out while `authorize` is asked',
    says: 'let in after an answered logout',
  },
  {
    fault: 'a handshake that lets in whom `authorize` has not permitted',
    breakBridge: letInAfterOneLoad,
    world: 'a handshake whose session changes and is demoted while `authorize` is asked',
    says: 'let in by an answer to an older question',
  },
  {
    fault: 'an older yes that hides a newer failure',
    breakBridge: takeOlderYes,
    world: 'a change and a demotion, with an `authorize` that fails for the demoted',
    says: 'a message handled before authorize has answered',
  },
  {
    fault: 'messages that are handled after a logout of this process',
    breakBridge: readAfterOwnLogout,
    world: 'a logout, touches and a handshake, with a slow `authorize`',
    says: 'a message handled after a logout of this process',
  },
  {
    fault: 'a touch of the bridge that brings a session back',
    breakBridge: overlookDestroys,
    world: 'a message and a logout, on a store whose `touch` writes back',
    says: 'the session is back',
  },
  {
    fault: 'a socket that outlives its session on a store of whole seconds',
    breakBridge: dropDateWhenItPasses,
    world: 'touches and an expiry, on a store of whole seconds',
    says: 'open without a session',
  },
]

describe('the search through every order of events', () => {
  it.each(faults)('finds $fault', async ({ breakBridge, world, says }) => {
    vi.spyOn(Math, 'random').mockReturnValue(0.5)
    breakBridge()
    let found: string | undefined
    let events = 0
    while (found === undefined && events < soakDepth) {
      events += 1
      const { failures } = await tryInterleavings(smallWorlds[world].rules, events, Infinity)
      found = failures.find((failure) => failure.startsWith(says))
    }
    console.log(`${events} events: ${found}`)
    expect(found).toBeDefined()
    // What `npm test` tries in each order is enough to find it.
    expect(events).toBeLessThanOrEqual(smallWorlds[world].depth)
  })
})
