/*
 * Which node of a Cluster owns which slots.
 */
import { slotCount } from './key-slot.js'

/** The address of each slot's master, by slot; undefined where no node has it. */
export type Owners = readonly (string | undefined)[]

/** An answer to CLUSTER SLOTS, as node-redis gives it. */
export type SlotRanges = readonly {
  readonly from: number
  readonly to: number
  readonly master: SlotNode
  readonly replicas: readonly SlotNode[]
}[]

interface SlotNode {
  /** Not there, or `?`, where a node does not know its own name (Redis, "cluster-preferred-endpoint-type"). */
  readonly host: string | null
  readonly port: number
}

/** @param before slots of which nothing is said keep their owner, which is most likely the one that is back first */
export function ownersOf(ranges: SlotRanges, answeredBy: string, before: Owners): Owners {
  const owners = Array.from<unknown, string | undefined>({ length: slotCount }, (_, slot) => before[slot])
  for (const { from, to, master } of ranges) owners.fill(addressOf(master, answeredBy), from, to + 1)
  return owners
}

/** The addresses that only follow a master. */
export function replicasIn(ranges: SlotRanges, answeredBy: string): Set<string> {
  return new Set(ranges.flatMap(({ replicas }) => replicas.map((replica) => addressOf(replica, answeredBy))))
}

/** The slots that had an owner and now have another. */
export function movedBetween(before: Owners, after: Owners): Set<number> {
  const moved = new Set<number>()
  before.forEach((owner, slot) => {
    if (owner !== undefined && owner !== after[slot]) moved.add(slot)
  })
  return moved
}

/** `host:port` of an address, which may be that of an IPv6 host; without a host, or with `?`, it is the other one's. */
export function partsOf(address: string, answeredBy: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, colon)
  return {
    host: host === '' || host === '?' ? answeredBy.slice(0, answeredBy.lastIndexOf(':')) : host,
    port: Number(address.slice(colon + 1)),
  }
}

function addressOf({ host, port }: SlotNode, answeredBy: string): string {
  const parts = partsOf(`${host ?? ''}:${String(port)}`, answeredBy)
  return `${parts.host}:${String(parts.port)}`
}
