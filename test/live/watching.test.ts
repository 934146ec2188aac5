import { describe, expect, it } from 'vitest'
import type { LiveStore } from 'ws-session-bridge'
import { record, rest, startBridge, until } from './bound.js'
import { ByHandLiveStore, stored } from './by-hand-live-store.js'
import { endOf } from './connected.js'

const failed = new Error('it does not listen')

// What a LiveStore may get wrong: TypeScript takes an async function for one that returns nothing.
const failures: [how: string, fail: LiveStore['watch']][] = [
  [
    'throws',
    () => {
      throw failed
    },
  ],
  ['returns a promise that rejects', () => Promise.reject(failed)],
]

describe.each(failures)('a LiveStore that %s', (_how, fail) => {
  it.each(['watch', 'unwatch'] as const)(
    'on %s is a fault, and connections come and go all the same',
    async (method) => {
      const live = Object.assign(new ByHandLiveStore(), { [method]: fail })
      const { bridge, bind, faults } = startBridge({ live })
      const binding = bind('id')
      await until(() => live.gets.length === 1)
      live.gets.shift()?.answer(stored(record()))
      const { context, connection } = await binding
      connection.disappear()
      expect(await endOf(context)).toMatchObject({ reason: 'closed' })
      await rest()
      expect(faults).toEqual([failed])
      await bridge.close()
      expect(bridge.stats()).toMatchObject({ sockets: 0, sessions: 0, faults: 1 })
    },
  )
})
