import { describe, expect, it } from 'vitest'
import { ConnectionsEverywhere, type LocalConnections } from '../../src/channel/everywhere.js'
import { ProcessGroup } from '../../src/channel/process-group.js'
import type { LocalConnection } from '../../src/channel/remote-connection.js'
import type { Selector } from '../../src/channel/selector.js'
import { hashOf } from '../../src/session-hash.js'
import { atEnd } from '../support/at-end.js'
import { createHub, type Hub } from './memory-channel.js'

/** The connections of a process, by hand. */
class ByHand implements LocalConnections {
  readonly calls: unknown[][] = []

  constructor(readonly all: LocalConnection[]) {}

  disconnect(which: Selector, close?: { code?: number; reason?: string }): number {
    if (close?.code === 1005) throw new TypeError('disconnect: 1005 cannot be sent.')
    this.calls.push(['disconnect', which, close])
    return [...this.connections(which)].length
  }

  reauthorize(which?: Selector): number {
    this.calls.push(['reauthorize', which])
    return [...this.connections(which)].length
  }

  connections(which?: Selector): Iterable<LocalConnection> {
    if (which === undefined) return this.all
    if (typeof which === 'string') return this.all.filter(({ sessionID }) => sessionID === which)
    return this.all.filter(({ user }) => user === String(which.user))
  }
}

function connection(sessionID: string, user?: string, url = '/chat'): LocalConnection {
  return { sessionID, user, handshake: { url, origin: 'https://a.example', remoteAddress: '10.0.0.1', at: 1_000 } }
}

function started(hub: Hub, connections: LocalConnection[] = [], secrets = ['a secret'], timeoutMs?: number) {
  const { channel, member, gap } = hub.connect(timeoutMs)
  const faults: Error[] = []
  const group = new ProcessGroup({ channel, secrets, onFault: (error) => faults.push(error) })
  const local = new ByHand(connections)
  const everywhere = new ConnectionsEverywhere(local, group)
  group.join()
  atEnd(() => group.close())
  return { everywhere, local, group, member, faults, gap }
}

const millisecondsOf = async (call: () => Promise<unknown>) => {
  const since = performance.now()
  await call()
  return performance.now() - since
}

describe('everywhere', () => {
  it('disconnects a user on every process, and says how many there were', async () => {
    const hub = createHub()
    const one = started(hub, [connection('a', '7')])
    const two = started(hub, [connection('b', '7'), connection('c', '8')])
    const three = started(hub)
    expect(await three.everywhere.disconnect({ user: 7 }, { code: 4000, reason: 'bye' })).toEqual({
      count: 2,
      nodes: 3,
      complete: true,
    })
    const call = ['disconnect', { user: '7' }, { code: 4000, reason: 'bye' }]
    expect([one.local.calls, two.local.calls]).toEqual([[call], [call]])
  })

  it('disconnects a session on every process without telling its ID', async () => {
    const hub = createHub()
    const sessionID = 'the-session-to-be-ended'
    const one = started(hub, [connection(sessionID), connection('other')])
    const two = started(hub)
    expect(await two.everywhere.disconnect(sessionID)).toEqual({ count: 1, nodes: 2, complete: true })
    expect(one.local.calls).toEqual([['disconnect', sessionID, {}]])
    expect(hub.traffic.join()).not.toContain(sessionID)
  })

  it('has all answers as soon as they have come, though the channel is opened anew meanwhile', async () => {
    const hub = createHub()
    const one = started(hub, [connection('a', 'ada')])
    const two = started(hub)
    await two.everywhere.reauthorize()
    one.local.reauthorize = () => {
      two.gap()
      return 1
    }
    expect(await two.everywhere.reauthorize()).toEqual({ count: 1, nodes: 2, complete: true })
  })

  it('asks authorize of all, of a user and of a session again on every process', async () => {
    const hub = createHub()
    const one = started(hub, [connection('a', 'ada'), connection('b', 'eve')])
    const two = started(hub, [connection('a', 'ada')])
    expect(await two.everywhere.reauthorize()).toEqual({ count: 3, nodes: 2, complete: true })
    expect(await two.everywhere.reauthorize({ user: 'ada' })).toEqual({ count: 2, nodes: 2, complete: true })
    expect(await two.everywhere.reauthorize('b')).toEqual({ count: 1, nodes: 2, complete: true })
    expect(one.local.calls).toEqual([
      ['reauthorize', undefined],
      ['reauthorize', { user: 'ada' }],
      ['reauthorize', 'b'],
    ])
  })

  it('lists the connections of every process as plain data with a hash for the session', async () => {
    const hub = createHub()
    const one = started(hub, [connection('session-a', 'ada', '/chat?room=1')])
    const two = started(hub, [connection('session-b')])
    const { connections, ...result } = await two.everywhere.connections()
    expect(result).toEqual({ count: 2, nodes: 2, complete: true })
    expect(connections).toContainEqual({
      node: one.group.bus.node,
      user: 'ada',
      session: hashOf('session-a'),
      url: '/chat?room=1',
      origin: 'https://a.example',
      remoteAddress: '10.0.0.1',
      at: 1_000,
    })
    expect(connections.map(({ node }) => node)).toContain(two.group.bus.node)
    expect(JSON.stringify(connections) + hub.traffic.join()).not.toMatch(/session-[ab]/)
    expect((await two.everywhere.connections({ user: 'ada' })).connections).toHaveLength(1)
    expect((await two.everywhere.connections('session-a')).connections).toHaveLength(1)
  })

  it('lists 20,000 connections with long targets in several messages', async () => {
    const hub = createHub()
    const url = `/${'x'.repeat(300)}`
    started(
      hub,
      Array.from({ length: 20_000 }, (_, index) => connection(`id${index}`, `${index % 100}`, url)),
    )
    const { everywhere } = started(hub, [], ['a secret'], 8_000)
    const { connections, complete } = await everywhere.connections()
    expect(complete).toBe(true)
    expect(new Set(connections.map(({ session }) => session)).size).toBe(20_000)
    expect(Math.max(...hub.traffic.map(({ length }) => length))).toBeLessThan(262_144)
  })

  it('is this process alone without a channel', async () => {
    const local = new ByHand([connection('a', 'ada')])
    const everywhere = new ConnectionsEverywhere(local)
    expect(await everywhere.disconnect({ user: 'ada' })).toEqual({ count: 1, nodes: 1, complete: true })
    expect(await everywhere.reauthorize()).toEqual({ count: 1, nodes: 1, complete: true })
    const { connections, ...result } = await everywhere.connections()
    expect(result).toEqual({ count: 1, nodes: 1, complete: true })
    expect(connections).toHaveLength(1)
  })

  it('rejects what disconnect throws, and then tells no process', async () => {
    const hub = createHub()
    const one = started(hub)
    const two = started(hub)
    await expect(two.everywhere.disconnect('a', { code: 1005 })).rejects.toThrow(TypeError)
    expect(one.local.calls).toEqual([])
  })

  it('says within the deadline that it is incomplete while a process is stopped, and complete when it goes on', async () => {
    const hub = createHub()
    const one = started(hub, [connection('a', 'ada')])
    const two = started(hub, [connection('b', 'ada')])
    expect(await two.everywhere.connections()).toMatchObject({ nodes: 2, complete: true })
    one.member.isStopped = true
    const elapsed = await millisecondsOf(async () => {
      expect(await two.everywhere.connections({ user: 'ada' })).toMatchObject({ count: 1, nodes: 1, complete: false })
    })
    expect(elapsed).toBeLessThan(5_000)
    one.member.isStopped = false
    expect(await two.everywhere.connections({ user: 'ada' })).toMatchObject({ count: 2, nodes: 2, complete: true })
  })

  it('knows of a stopped process, though it has come after it was stopped, from those who were there', async () => {
    const hub = createHub()
    const stopped = started(hub)
    const witness = started(hub)
    await witness.everywhere.connections()
    stopped.member.isStopped = true
    const late = started(hub)
    expect(await late.everywhere.connections()).toMatchObject({ nodes: 2, complete: false })
  })

  it('misses no process that has said goodbye', async () => {
    const hub = createHub()
    const one = started(hub)
    const two = started(hub)
    expect(await two.everywhere.connections()).toMatchObject({ nodes: 2, complete: true })
    await one.group.close()
    await expect.poll(() => two.everywhere.connections()).toMatchObject({ nodes: 1, complete: true })
  })

  it('answers at once where it is alone, once that is certain', async () => {
    // The deadline is long, so that "at once" can be told from it on a busy machine, too.
    const { everywhere } = started(createHub(), [], ['a secret'], 20_000)
    expect(await everywhere.connections()).toMatchObject({ nodes: 1, complete: true })
    expect(await millisecondsOf(() => everywhere.connections())).toBeLessThan(5_000)
  })

  it('does it here and says that it is incomplete when it is cut off', async () => {
    const hub = createHub()
    started(hub)
    const two = started(hub, [connection('a', 'ada')])
    two.member.isCut = true
    expect(await two.everywhere.disconnect({ user: 'ada' })).toEqual({ count: 1, nodes: 1, complete: false })
  })

  it('understands a process that signs with the next secret already, or with the last one still', async () => {
    const hub = createHub()
    const old = started(hub, [connection('session', 'ada')], ['old'])
    const both = started(hub, [connection('session', 'ada')], ['old', 'new'])
    expect(await both.everywhere.disconnect('session')).toMatchObject({ count: 2, complete: true })
    const next = started(hub, [connection('session', 'ada')], ['new', 'old'])
    expect(await next.everywhere.disconnect('session')).toMatchObject({ count: 2 })
    expect(both.local.calls).toHaveLength(2)
    expect(old.faults).toHaveLength(1)
  })

  it('signs and verifies with the secrets that are in the lists by now', async () => {
    const hub = createHub()
    const secrets: [string[], string[]] = [['old'], ['old']]
    const one = started(hub, [connection('session', 'ada')], secrets[0])
    const two = started(hub, [connection('session', 'ada')], secrets[1])
    for (const list of secrets) list.splice(0, 1, 'new')
    expect(await one.everywhere.disconnect('session')).toMatchObject({ count: 2, complete: true })
    secrets[0][0] = 'guessed'
    await one.everywhere.disconnect('session')
    expect(two.local.calls).toHaveLength(1)
  })
})

describe('a hostile member of the channel', () => {
  it('makes no process do anything, and is a fault at most once a minute', async () => {
    const hub = createHub()
    const one = started(hub, [connection('a', 'ada')])
    const two = started(hub)
    await two.everywhere.disconnect({ user: 'eve' })
    const [told] = hub.traffic.filter((message) => message.includes('disconnect'))
    const { calls } = one.local
    expect(calls).toHaveLength(1)
    const junk = [
      '',
      'hello',
      '{}',
      '[]',
      'wsb1',
      'wsb2 x []',
      `wsb1 ${'A'.repeat(43)} ["node",1,${Date.now()},"ask",["id","disconnect",[{"user":"ada"},{}]]]`,
      told!.replace('"eve"', '"ada"'),
      told!.replace('wsb1', 'wsb9'),
      told!.slice(0, -1),
      told!,
      'x'.repeat(5_000_000),
      `wsb1 ${'A'.repeat(43)} [${'1,'.repeat(2_000_000)}1]`,
      null as unknown as string,
      Buffer.from('x') as unknown as string,
    ]
    for (let round = 0; round < 20; round += 1) for (const message of junk) hub.say(message)
    await expect.poll(() => one.faults.length).toBe(1)
    expect(await two.everywhere.connections()).toMatchObject({ nodes: 2, complete: true })
    expect(calls).toHaveLength(1)
    expect([one.faults.length, two.faults.length]).toEqual([1, 1])
  })

  it('cannot have a message of before done again, neither soon nor late', async () => {
    const hub = createHub()
    const one = started(hub, [connection('a', 'ada')])
    const two = started(hub)
    await two.everywhere.disconnect({ user: 'ada' })
    const messages = [...hub.traffic]
    for (const message of messages) hub.say(message)
    await two.everywhere.connections()
    expect(one.local.calls).toHaveLength(1)
    expect(one.faults.map(({ message }) => message)).toEqual([
      'A message on the channel is dropped: it has been told before.',
    ])
  })

  it('takes it for no fault that what was told before a gap is told again after it', async () => {
    const hub = createHub()
    const one = started(hub, [connection('a', 'ada')])
    const two = started(hub)
    await two.everywhere.disconnect({ user: 'ada' })
    const messages = [...hub.traffic]
    // As on a Cluster, where another node is listened to from then on, which is late.
    for (const { gap } of [one, two]) gap()
    for (const message of messages) hub.say(message)
    await two.everywhere.connections()
    expect(one.local.calls).toHaveLength(1)
    expect([...one.faults, ...two.faults]).toEqual([])
  })
})
