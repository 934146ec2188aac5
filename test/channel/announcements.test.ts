import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import session, { MemoryStore, type Store } from 'express-session'
import express from 'express'
import { describe, expect, it } from 'vitest'
import { announceChanges } from '../../src/channel/announce-changes.js'
import { AnnouncedStore } from '../../src/channel/announced-store.js'
import { Announcer } from '../../src/channel/announcer.js'
import { sessionHashLength } from '../../src/channel/channel-keys.js'
import { ProcessGroup } from '../../src/channel/process-group.js'
import { rest } from '../live/bound.js'
import { atEnd } from '../support/at-end.js'
import { recordOf } from '../store/live-store-suite.js'
import { createHub, type Hub } from './memory-channel.js'

/** One process with a store: what the others tell of the sessions that it watches. */
function process(hub: Hub, watched: readonly string[] = [], store: Store = new MemoryStore(), secrets = ['a secret']) {
  const { channel, member, gap } = hub.connect()
  const faults: Error[] = []
  const group = new ProcessGroup({ channel, secrets, onFault: (error) => faults.push(error) })
  const live = new AnnouncedStore(store)
  const reports: (string | undefined)[] = []
  live.onChange((sessionID) => {
    reports.push(sessionID)
  })
  live.onStoreCall(() => undefined)
  live.listenTo(group.bus)
  for (const sessionID of watched) live.watch(sessionID)
  const announcer = new Announcer(store, group.bus)
  group.join()
  atEnd(async () => {
    await announcer.close()
    await live.close()
    await group.close()
  })
  return { store, live, reports, member, gap, faults, channel, group, announcer }
}

const set = (store: Store, sessionID: string, data = {}) =>
  new Promise((resolve) => store.set(sessionID, recordOf(data), resolve))
const destroy = (store: Store, sessionID: string) => new Promise((resolve) => store.destroy(sessionID, resolve))
/** Time in which something may come that is not to come, and some turns for what a busy machine has put off. */
const turns = async () => {
  await new Promise((resolve) => setTimeout(resolve, 30))
  await rest()
}

async function settled(...processes: { reports: unknown[] }[]) {
  await turns()
  // Every opening is a gap.
  for (const { reports } of processes) reports.splice(0)
}

/** Two processes, the first of which had something to tell while it was cut off, and is there again. */
async function cutOffWithNews() {
  const hub = createHub()
  const [one, two] = [process(hub), process(hub, ['a'])] as const
  await settled(one, two)
  one.member.isCut = true
  await destroy(one.store, 'a')
  await expect.poll(() => one.faults.length).toBe(1)
  one.member.isCut = false
  return [one, two] as const
}

describe('announcements of changes', () => {
  it('make the other processes look at a session that this one has set or destroyed, and at no other', async () => {
    const hub = createHub()
    const [one, two] = [process(hub, ['a', 'b']), process(hub, ['a', 'b'])]
    await settled(one, two)
    await set(one.store, 'a')
    await expect.poll(() => two.reports).toEqual(['a'])
    await destroy(one.store, 'b')
    await expect.poll(() => two.reports).toEqual(['a', 'b'])
    await set(one.store, 'not watched')
    await turns()
    expect(two.reports).toEqual(['a', 'b'])
    expect(one.reports).toEqual([])
  })

  it('say that all are to be looked at when the store is cleared, and after a gap', async () => {
    const hub = createHub()
    const [one, two] = [process(hub), process(hub)]
    await settled(one, two)
    await new Promise((resolve) => one.store.clear?.(resolve))
    await expect.poll(() => two.reports).toEqual([undefined])
    two.gap()
    expect(two.reports).toEqual([undefined, undefined])
  })

  it('are not made of a touch', async () => {
    const hub = createHub()
    const [one, two] = [process(hub), process(hub, ['a'])]
    await set(one.store, 'a')
    await settled(one, two)
    await new Promise<void>((resolve) => one.store.touch?.('a', recordOf({}), () => resolve()))
    await turns()
    expect(two.reports).toEqual([])
  })

  it('hold no session ID and none of its data, and a burst of 1,000 fits into a few messages', async () => {
    const hub = createHub()
    const ids = Array.from({ length: 1_000 }, () => randomUUID())
    const [one, two] = [process(hub), process(hub, ids)]
    await settled(one, two)
    const before = hub.traffic.length
    await Promise.all(ids.map((id) => set(one.store, id, { user: 'ada-lovelace' })))
    await expect.poll(() => new Set(two.reports)).toEqual(new Set(ids))
    expect(hub.traffic.length - before).toBeLessThan(10)
    expect(Math.max(...hub.traffic.map(({ length }) => length))).toBeLessThan(8_000)
    const traffic = hub.traffic.join('\n')
    expect(traffic).not.toContain('ada-lovelace')
    expect(ids.filter((id) => traffic.includes(id))).toEqual([])
  })

  it('of a busy process travel together: one message in 5 ms at most, however many sessions change one after another', async () => {
    const hub = createHub()
    const ids = Array.from({ length: 300 }, () => randomUUID())
    const [one, two] = [process(hub), process(hub, ids)]
    await settled(one, two)
    const before = hub.traffic.length
    const begun = performance.now()
    for (const id of ids) await destroy(one.store, id)
    await expect.poll(() => new Set(two.reports)).toEqual(new Set(ids))
    // The first one goes at once, and another one is on its way when the clock is read.
    expect(hub.traffic.length - before).toBeLessThanOrEqual((performance.now() - begun) / 5 + 2)
  })

  it('that wait for the next message are told when the process closes', async () => {
    const hub = createHub()
    const [one, two] = [process(hub), process(hub, ['a', 'b'])]
    await settled(one, two)
    await destroy(one.store, 'a')
    await expect.poll(() => two.reports, { interval: 0 }).toEqual(['a'])
    await destroy(one.store, 'b')
    await one.announcer.close()
    await one.group.close()
    await expect.poll(() => two.reports).toEqual(['a', 'b'])
  })

  it('that could not be told have one more attempt when the process closes', async () => {
    const [one, two] = await cutOffWithNews()
    await one.announcer.close()
    await one.group.close()
    await expect.poll(() => two.reports).toEqual(['a'])
  })

  it('are told later where they cannot be told at once, and are a fault then', async () => {
    const [, two] = await cutOffWithNews()
    await expect.poll(() => two.reports).toEqual(['a'])
  })

  it('are understood by a process whose first secret is another one', async () => {
    const hub = createHub()
    const one = process(hub, [], new MemoryStore(), ['new', 'old'])
    const two = process(hub, ['a', 'b'], new MemoryStore(), ['old', 'new'])
    await settled(one, two)
    await destroy(one.store, 'a')
    await expect.poll(() => two.reports).toEqual(['a'])
    two.live.unwatch('b')
    two.live.watch('c')
    for (const id of ['b', 'c']) await destroy(one.store, id)
    await expect.poll(() => two.reports).toEqual(['a', 'c'])
  })

  it('are understood while both processes change their secrets, and drop what a removed one has signed', async () => {
    const hub = createHub()
    const secrets: [string[], string[]] = [['old'], ['old']]
    const one = process(hub, [], new MemoryStore(), secrets[0])
    const two = process(hub, ['a', 'b', 'c'], new MemoryStore(), secrets[1])
    await settled(one, two)
    for (const list of secrets) list.unshift('new')
    await destroy(one.store, 'a')
    await expect.poll(() => two.reports).toEqual(['a'])
    for (const list of secrets) list.pop()
    await destroy(one.store, 'b')
    await expect.poll(() => two.reports).toEqual(['a', 'b'])
    secrets[1][0] = 'newer'
    await destroy(one.store, 'c')
    await expect.poll(() => two.faults.length).toBe(1)
    expect(two.faults[0]?.message).toContain('not signed by a session secret')
    expect(two.reports).toEqual(['a', 'b'])
  })

  it('wait while the list of secrets is empty, which verifies nothing and ends no process', async () => {
    const hub = createHub()
    const secrets: [string[], string[]] = [['a secret'], ['a secret']]
    const one = process(hub, [], new MemoryStore(), secrets[0])
    const two = process(hub, ['a'], new MemoryStore(), secrets[1])
    await settled(one, two)
    secrets[0].pop()
    await destroy(one.store, 'a')
    await expect.poll(() => one.faults.length).toBe(1)
    secrets[0].push('a secret')
    await expect.poll(() => two.reports, { timeout: 5_000 }).toEqual(['a'])
    secrets[1].pop()
    two.live.watch('b')
    await destroy(one.store, 'b')
    await expect.poll(() => two.faults.length).toBe(1)
    expect(two.reports).toEqual(['a'])
  })

  it.each(['before', 'after'])(
    'are not made of a login, only of what follows: middleware made %s them',
    async (when) => {
      const hub = createHub()
      const store = new MemoryStore()
      if (when === 'after') process(hub, [], store)
      const middleware = session({ store, secret: 'a secret', resave: false, saveUninitialized: false })
      if (when === 'before') process(hub, [], store)
      const app = express()
      app.use(middleware)
      app.post('/login', (request, response) => {
        Object.assign(request.session, { user: 'ada' })
        response.end()
      })
      app.post('/change', (request, response) => {
        Object.assign(request.session, { at: Math.random() })
        response.end()
      })
      app.post('/twice', (request, response) => {
        Object.assign(request.session, { user: 'ada' })
        request.session.save(() => {
          Object.assign(request.session, { role: 'admin' })
          response.end()
        })
      })
      app.post('/regenerate', (request, response, next) => {
        request.session.regenerate((error) => {
          Object.assign(request.session, { user: 'ada' })
          if (error) next(error)
          else response.end()
        })
      })
      const server = app.listen(0, '127.0.0.1')
      atEnd(() => server.close())
      await once(server, 'listening')
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      const hashes = () => hub.traffic.map((message) => /"hashes":"([^"]*)"/.exec(message)?.[1] ?? '').join('')
      const announced = () => hashes().length / sessionHashLength
      const login = await fetch(`${url}/login`, { method: 'POST' })
      await login.text()
      await turns()
      expect(announced()).toBe(0)
      const cookie = login.headers.get('set-cookie')!.split(';')[0]!
      await fetch(`${url}/change`, { method: 'POST', headers: { cookie } })
      await expect.poll(announced).toBe(1)
      await fetch(`${url}/twice`, { method: 'POST' })
      await expect.poll(announced).toBe(2)
      await fetch(`${url}/regenerate`, { method: 'POST', headers: { cookie } })
      // The session before is destroyed.
      await expect.poll(announced).toBe(3)
      await turns()
      expect(announced()).toBe(3)
    },
  )
})

describe('announceChanges', () => {
  it('tells for a process without a bridge, until it is undone', async () => {
    const hub = createHub()
    const two = process(hub, ['a', 'b'])
    await settled(two)
    const store = new MemoryStore()
    session({ store, secret: 'a secret', resave: false, saveUninitialized: false })
    const original = [store.destroy, Reflect.get(store, 'generate'), store.eventNames()]
    const { channel } = hub.connect()
    const undo = announceChanges(store, { secret: ['a secret', 'an old one'], channel })
    await destroy(store, 'a')
    await expect.poll(() => two.reports).toEqual(['a'])
    undo()
    expect([store.destroy, Reflect.get(store, 'generate'), store.eventNames()]).toEqual(original)
    await destroy(store, 'b')
    await turns()
    expect(two.reports).toEqual(['a'])
  })

  it('throws a TypeError that names what is wrong', () => {
    const { channel } = createHub().connect()
    const store = new MemoryStore()
    const call =
      (...args: unknown[]) =>
      () =>
        announceChanges(...(args as unknown as Parameters<typeof announceChanges>))
    expect(call(undefined, { secret: 's', channel })).toThrow(/the store must be/)
    expect(call(store, { secret: '', channel })).toThrow(/`secret` is required/)
    expect(call(store, { secret: 's' })).toThrow(/`channel` has no method/)
    expect(call(store, { secret: 's', channel: {} })).toThrow(/`channel` has no method `publish`/)
    expect(call(store, { secret: 's', channel, nam: 1 })).toThrow(/option `nam` is unknown/)
    expect(call(store)).toThrow(TypeError)
  })
})
