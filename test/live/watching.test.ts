import { describe, expect, it } from 'vitest'
import type { LiveStore } from 'ws-session-bridge'
import { record, rest, startBridge } from './bound.js'
import { bindLoaded, ByHandLiveStore, stored } from './by-hand-live-store.js'
import { endOf } from './connected.js'

const failed = new Error('it does not listen')

// TypeScript takes an async function for one that returns nothing.
// eslint-disable-next-line @typescript-eslint/no-misused-promises -- the misuse is what is tested
const rejects: LiveStore['watch'] = () => Promise.reject(failed)

const throws: LiveStore['unwatch'] = () => {
  throw failed
}

describe('a LiveStore of an app’s own', () => {
  it.each([
    ['watch', 'returns a promise that rejects', rejects],
    ['unwatch', 'returns a promise that rejects', rejects],
    ['unwatch', 'throws', throws],
  ])('whose %s %s tells a fault by it, and connections come and go all the same', async (method, _how, fail) => {
    const live = Object.assign(new ByHandLiveStore(), { [method]: fail })
    const { bridge, bind, faults } = startBridge({ live })
    const { context, connection } = await bindLoaded({ bind }, live, stored(record()))
    connection.disappear()
    expect(await endOf(context)).toMatchObject({ reason: 'closed' })
    await rest()
    expect(faults).toEqual([failed])
    await bridge.close()
    expect(bridge.stats()).toMatchObject({ sockets: 0, sessions: 0, faults: 1 })
  })
})
