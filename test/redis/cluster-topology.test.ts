import { describe, expect, it, vi } from 'vitest'
import type { RedisClusterType } from 'redis'
import { movedBetween, ownersOf, partsOf, replicasIn } from '../../src/redis/cluster-slots.js'
import { ClusterTopology } from '../../src/redis/cluster-topology.js'
import type { RedisClient } from '../../src/redis/dedicated-client.js'
import { slotCount } from '../../src/redis/key-slot.js'
import { atEnd } from '../support/at-end.js'

interface Node {
  owns: [from: number, to: number, address: string][]
  state?: string
  replicas?: string[]
}

const nodeOf = (address: string) => ({ host: address.split(':')[0]!, port: Number(address.split(':')[1]) })

/** A topology whose client knows `a:1` for the lower half and `b:2` for the upper, and whose nodes say what they are told to. */
function startTopology() {
  const nodes = new Map<string, Node | Error | Promise<Node | Error>>()
  const client = Array.from({ length: slotCount }, (_, slot) => ({ master: { address: slot < 8192 ? 'a:1' : 'b:2' } }))
  const asked: string[] = []
  const known = vi.fn<(moved: ReadonlySet<number>, replicas: ReadonlySet<string>) => void>()
  const topology = new ClusterTopology({
    cluster: { slots: client } as unknown as RedisClusterType,
    isOpen: (address) => address === 'b:2',
    async ask(address, send) {
      asked.push(address)
      const node = (await nodes.get(address)) ?? new Error('nobody there')
      if (node instanceof Error) throw node
      const ranges = node.owns.map(([from, to, owner]) => ({
        from,
        to,
        master: nodeOf(owner),
        replicas: (node.replicas ?? []).map(nodeOf),
      }))
      const answers = {
        clusterSlots: () => Promise.resolve(ranges),
        clusterInfo: () => Promise.resolve(`cluster_state:${node.state ?? 'ok'}\r\n`),
      }
      return await send(answers as unknown as RedisClient)
    },
    onKnown: known,
  })
  topology.begin(60_000)
  atEnd(() => {
    topology.close()
  })
  const refreshed = async (address?: string) => {
    const before = known.mock.calls.length
    topology.refresh(address)
    await vi.waitUntil(() => known.mock.calls.length > before, { timeout: 5_000 })
    return known.mock.lastCall!
  }
  return { topology, nodes, client, asked, known, refreshed }
}

describe('what is known of a Cluster', () => {
  it('begins with what the client has found out', () => {
    const { topology, asked } = startTopology()
    expect([topology.ownerOf(0), topology.ownerOf(16_383)]).toEqual(['a:1', 'b:2'])
    expect(asked).toEqual([])
  })

  it('is asked of the node that knows better, and names the slots that have moved', async () => {
    const { topology, nodes, asked, refreshed } = startTopology()
    nodes.set('a:1', { owns: [[0, 99, 'c:3'], [100, 8191, 'a:1'], [8192, 16_383, 'b:2']], replicas: ['d:4'] }) // prettier-ignore
    const [moved, replicas] = await refreshed('a:1')
    expect(asked).toEqual(['a:1'])
    expect([...moved]).toEqual(Array.from({ length: 100 }, (_, slot) => slot))
    expect([...replicas]).toEqual(['d:4'])
    expect(topology.ownerOf(99)).toBe('c:3')
    expect(topology.owns('c:3')).toBe(true)
    expect(topology.owns('d:4')).toBe(false)
  })

  it('is asked of who is connected before who is not', async () => {
    const { nodes, asked, refreshed } = startTopology()
    for (const address of ['a:1', 'b:2']) nodes.set(address, { owns: [[0, 16_383, 'b:2']] })
    await refreshed()
    expect(asked).toEqual(['b:2'])
  })

  it('is not believed of a node that is cut off from the others, whatever it says', async () => {
    const { topology, nodes, refreshed } = startTopology()
    nodes.set('b:2', { owns: [[0, 16_383, 'b:2']], state: 'fail' })
    nodes.set('a:1', { owns: [[0, 16_383, 'a:1']] })
    await refreshed('b:2')
    expect(topology.ownerOf(16_383)).toBe('a:1')
  })

  it('stays as it was while no node says that all is in order', async () => {
    const { topology, nodes, asked, known } = startTopology()
    for (const address of ['a:1', 'b:2']) nodes.set(address, { owns: [[0, 16_383, 'c:3']], state: 'fail' })
    topology.refresh()
    await vi.waitUntil(() => asked.length === 2, { timeout: 5_000 })
    await new Promise(setImmediate)
    expect(known).not.toHaveBeenCalled()
    expect(topology.ownerOf(0)).toBe('a:1')
  })

  it('is what the client knows by now if no node answers, but for what it does not know either', async () => {
    const { topology, client, refreshed } = startTopology()
    for (let slot = 0; slot < 8192; slot += 1) client[slot] = { master: { address: 'c:3' } }
    client[16_383] = undefined as never
    const [moved] = await refreshed()
    expect(moved.size).toBe(8192)
    expect([topology.ownerOf(0), topology.ownerOf(16_383)]).toEqual(['c:3', 'b:2'])
  })

  it('is asked once at a time, and once more if that was asked for meanwhile', async () => {
    const { topology, nodes, asked, known } = startTopology()
    let answer!: (node: Node) => void
    nodes.set('b:2', new Promise((resolve) => (answer = resolve)))
    topology.refresh()
    for (let times = 0; times < 3; times += 1) topology.refresh('a:1')
    expect(asked).toEqual(['b:2'])
    // The slots move after this answer was given, and before it arrives.
    nodes.set('a:1', { owns: [[0, 16_383, 'c:3']] })
    answer({ owns: [[0, 16_383, 'b:2']] })
    await vi.waitUntil(() => known.mock.calls.length === 2, { timeout: 5_000 })
    expect(topology.ownerOf(0)).toBe('c:3')
    await new Promise(setImmediate)
    expect(asked).toEqual(['b:2', 'a:1'])
  })

  it('is no longer asked of any node once it is closed, not even if an answer was on its way', async () => {
    const { topology, nodes, asked } = startTopology()
    let fail!: (error: Error) => void
    nodes.set('b:2', new Promise((resolve) => (fail = resolve)))
    topology.refresh()
    topology.close()
    fail(new Error('the connection was closed'))
    await new Promise(setImmediate)
    expect(asked).toEqual(['b:2'])
  })
})

describe('the answer of a node', () => {
  const ranges = (host: string | null) => [
    { from: 0, to: 1, master: { host, port: 7000 }, replicas: [{ host, port: 7001 }] },
  ]

  it('leaves slots that no node has with those who had them', () => {
    const before = ownersOf([{ from: 5, to: 5, master: { host: 'x', port: 1 }, replicas: [] }], 'x:1', [])
    const after = ownersOf(ranges('y'), 'y:7000', before)
    expect([after[0], after[5], after[6]]).toEqual(['y:7000', 'x:1', undefined])
    expect(movedBetween(before, after).size).toBe(0)
  })

  it.each([null, '', '?'])('means its own host where it says %j', (host) => {
    expect(ownersOf(ranges(host), '10.0.0.1:7000', [])[0]).toBe('10.0.0.1:7000')
    expect([...replicasIn(ranges(host), '10.0.0.1:7000')]).toEqual(['10.0.0.1:7001'])
  })

  it('may have an IPv6 address', () => {
    expect(partsOf('::1:7000', 'x:1')).toEqual({ host: '::1', port: 7000 })
    expect(partsOf(':7000', '::1:1')).toEqual({ host: '::1', port: 7000 })
  })

  it.each([':7000', '?:7000'])('sends on to its own host where it names none: %s', (address) => {
    expect(partsOf(address, '10.0.0.1:7001')).toEqual({ host: '10.0.0.1', port: 7000 })
  })
})
