/*
 * Which node of a Cluster owns which slot by now.
 */
import type { RedisClusterType } from 'redis'

import { movedBetween, ownersOf, replicasIn, type Owners, type SlotRanges } from './cluster-slots.js'
import type { RedisClient } from './dedicated-client.js'

/** What the topology needs of the nodes' connections. */
export interface TopologyDependencies {
  readonly cluster: RedisClusterType
  readonly isOpen: (address: string) => boolean
  /** @throws {StoreUnavailableError} (rejects) */
  readonly ask: <T>(address: string, send: (client: RedisClient) => Promise<T>) => Promise<T>
  /** Owners are known anew. `replicas` are those that own nothing for certain. */
  readonly onKnown: (moved: ReadonlySet<number>, replicas: ReadonlySet<string>) => void
}

/** Begins with what the store's client has found out, and asks the nodes themselves from then on. */
export class ClusterTopology {
  readonly #deps: TopologyDependencies
  #owners: Owners = []
  #isAsking = false
  /** Asked for while the answer was on its way: what is asked about may have happened after it was given. */
  #askNext: { readonly first: string | undefined } | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(dependencies: TopologyDependencies) {
    this.#deps = dependencies
  }

  get isKnown(): boolean {
    return this.#owners.length > 0
  }

  /** The address of a slot's master; undefined where no node has it. */
  ownerOf(slot: number): string | undefined {
    return this.#owners[slot]
  }

  /** The addresses of all masters that have slots. */
  get masters(): string[] {
    return [...new Set(this.#owners)].filter((address) => address !== undefined)
  }

  /** Whether any slot is this node's. */
  owns(address: string): boolean {
    return this.#owners.includes(address)
  }

  /** @param everyMs how often to ask whether anything has moved unnoticed */
  begin(everyMs: number): void {
    this.#owners = this.#ownersKnownToClient()
    this.#timer ??= setInterval(() => {
      this.refresh()
    }, everyMs).unref()
  }

  /** Finds out anew who owns what: from the node at this address if it can say. Never throws. */
  refresh(address?: string): void {
    this.#askNext = { first: address }
    if (!this.#isAsking) void this.#keepAsking()
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
  }

  async #keepAsking(): Promise<void> {
    this.#isAsking = true
    while (this.#askNext !== undefined && !this.#closed) {
      const { first } = this.#askNext
      this.#askNext = undefined
      await this.#askAround(first)
    }
    this.#isAsking = false
  }

  async #askAround(first: string | undefined): Promise<void> {
    let answered = false
    for (const address of this.#inOrderOfAsking(first)) {
      const answer = await this.#ask(address)
      // Asking the next one would open a connection that is never closed.
      if (this.#closed) return
      answered ||= answer !== undefined
      if (answer?.isSound !== true) continue
      this.#take(ownersOf(answer.ranges, address, this.#owners), replicasIn(answer.ranges, address))
      return
    }
    // No node that was known is left. The store's client looks for others by itself.
    if (!answered) this.#take(this.#ownersKnownToClient(), new Set())
  }

  /* Those who are connected come first, and not always the same one of them. */
  #inOrderOfAsking(first: string | undefined): Set<string> {
    const known = [...new Set(this.#owners)].filter((address) => address !== undefined)
    const inOrder = known
      .map((address) => ({ address, turn: Math.random() + (this.#deps.isOpen(address) ? 0 : 1) }))
      .sort((one, other) => one.turn - other.turn)
      .map(({ address }) => address)
    return new Set(first === undefined ? inOrder : [first, ...inOrder])
  }

  /* A node that is cut off from the others goes on telling what it knew, but says as well that all is not in order. */
  async #ask(address: string): Promise<{ ranges: SlotRanges; isSound: boolean } | undefined> {
    try {
      const [ranges, info] = await this.#deps.ask(address, (client) =>
        Promise.all([client.clusterSlots(), client.clusterInfo()]),
      )
      return { ranges, isSound: info.includes('cluster_state:ok') }
    } catch {
      return undefined
    }
  }

  #take(owners: Owners, replicas: ReadonlySet<string>): void {
    if (this.#closed) return
    const moved = movedBetween(this.#owners, owners)
    this.#owners = owners
    this.#deps.onKnown(moved, replicas)
  }

  /* While it looks around itself, the client may know nothing. */
  #ownersKnownToClient(): Owners {
    const shards: (ClusterShard | undefined)[] = this.#deps.cluster.slots
    return Array.from(shards, (shard, slot) => shard?.master.address ?? this.#owners[slot])
  }
}

interface ClusterShard {
  readonly master: { readonly address: string }
}
