/*
 * A Cluster: each of its masters holds the sessions of its slots, and slots move.
 */
import { setTimeout as pause } from 'node:timers/promises'

import type { RedisClusterType } from 'redis'

import { StoreUnavailableError } from '../errors.js'
import { partsOf } from './cluster-slots.js'
import { ClusterTopology } from './cluster-topology.js'
import type { Deployment, DeploymentListener, NodeAddress, Send } from './deployment.js'
import { slotOf } from './key-slot.js'
import type { CallLimits, ConnectionOptions, RedisClient } from './dedicated-client.js'
import { readOneByOne, type Reading, type ReadOptions } from './reading.js'
import { redirectionOf } from './redirection.js'
import { RetiredError, Server } from './server.js'
import type { Subscription } from './subscription.js'
import { idleMsOf } from './tracking-connection.js'

/** How often to look for a node on which to listen. */
const retryMs = 500
/** A key that is sent on more often than this is in a Cluster that does not know itself where it is. */
const mostHops = 5

type HostAndPort = { readonly host: string; readonly port: number } | undefined

/** What node-redis has no public name for: the options that a Cluster was created with. */
interface ClusterOptions {
  readonly nodeAddressMap?: Readonly<Record<string, HostAndPort>> | ((address: string) => HostAndPort)
}

/** A client of `createCluster`. Each node is a {@link Server}; what is special here is only where a key is. */
export class Cluster implements Deployment {
  readonly #cluster: RedisClusterType
  readonly #options: ClusterOptions
  readonly #limits: CallLimits
  readonly #listener: DeploymentListener
  readonly #topology: ClusterTopology
  readonly #servers = new Map<string, Server>()
  /** Where a node has sent on to for a slot that it owned by what was known: keys of it are announced there and nowhere else. */
  readonly #sentOn = new Map<number, string>()
  /** Any node's client: all have the same settings but for their addresses. */
  #pattern: RedisClient | undefined
  /** Where tracking is refused. */
  readonly #untracked = new Set<string>()
  #subscription: Subscription | undefined
  /** The node on which the channel is listened to. */
  #listensAt: string | undefined
  #movesListening = false
  #closed = false

  constructor(cluster: RedisClusterType, limits: CallLimits, listener: DeploymentListener) {
    this.#cluster = cluster
    this.#options = (cluster as unknown as { readonly _options: ClusterOptions })._options
    this.#limits = limits
    this.#listener = listener
    this.#topology = new ClusterTopology({
      cluster,
      isOpen: (address) => this.#servers.get(address)?.isOpen === true,
      ask: (address, send) => this.#serverAt(address).askAny(send),
      onKnown: (moved, replicas) => {
        this.#retire(replicas)
        // The new owner of a slot knows nothing of what was read elsewhere. A move may also have been called off since: what
        // had arrived by then stays where it is of no account. Neither is announced.
        const unheard = new Set([...moved, ...this.#sentOn.keys()])
        this.#sentOn.clear()
        if (unheard.size > 0) listener.onMissed((key) => unheard.has(slotOf(key)))
      },
    })
  }

  read(key: string, options: ReadOptions): Promise<Reading> {
    return this.#whereItIs(key, (server, asking) => server.read(key, options, asking))
  }

  ask<T>(key: string, send: Send<T>): Promise<T> {
    return this.#whereItIs(key, (server, asking) => server.ask(key, send, asking))
  }

  async askAny<T>(send: Send<T>): Promise<T> {
    const server = this.#servers.get(this.#listensAt ?? '') ?? this.#serverAt(await this.#anyMaster())
    return await server.askAny(send)
  }

  listen(subscription: Subscription): void {
    this.#subscription = subscription
    void this.#listenElsewhere()
  }

  async addressOf(key: string): Promise<NodeAddress> {
    return this.#nodeAt(await this.#masterOf(key))
  }

  redirected(address: string, from: NodeAddress): NodeAddress {
    this.#topology.refresh(from.address)
    return this.#nodeAt(completed(address, from.address))
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#topology.close()
    await Promise.all([...this.#servers.values()].map((server) => server.close()))
  }

  /* The node that is asked may point to another one. */
  async #whereItIs<T>(key: string, ask: (server: Server, asking: boolean) => Promise<T>): Promise<T> {
    let address = await this.#masterOf(key)
    let asking = false
    for (let hops = 0; hops <= mostHops; hops += 1) {
      try {
        return await ask(this.#serverAt(address), asking)
      } catch (error) {
        const redirection = redirectionOf(error)
        if (redirection !== undefined) {
          // A slot that is still on its way has not changed hands.
          if (!redirection.asking) this.#topology.refresh(address)
          address = completed(redirection.address, address)
          asking = redirection.asking
          this.#sentOn.set(slotOf(key), address)
        } else if (error instanceof RetiredError) {
          address = await this.#masterOf(key)
          asking = false
        } else {
          throw error
        }
      }
    }
    throw new StoreUnavailableError('The nodes of the Cluster point to each other for this session.')
  }

  /* By chance, so that not all processes listen on the same node, and a node that is lost is left. */
  async #anyMaster(): Promise<string> {
    if (!this.#topology.isKnown) await this.#begin()
    if (this.#closed) throw new StoreUnavailableError('The bridge is closed.')
    const masters = this.#topology.masters.filter((address) => address !== this.#listensAt)
    const address = masters[Math.floor(Math.random() * masters.length)] ?? this.#listensAt
    if (address === undefined) throw new StoreUnavailableError('No node of the Cluster is known.')
    return address
  }

  async #listenElsewhere(): Promise<void> {
    if (this.#movesListening) return
    this.#movesListening = true
    while (!this.#closed) {
      try {
        const address = await this.#anyMaster()
        const before = this.#servers.get(this.#listensAt ?? '')
        this.#listensAt = address
        if (before !== undefined) before.listen(undefined)
        this.#serverAt(address).listen(this.#subscription)
        break
      } catch {
        await pause(retryMs, undefined, { ref: false })
      }
    }
    this.#movesListening = false
  }

  #lostAt(address: string): void {
    if (this.#subscription !== undefined && address === this.#listensAt) void this.#listenElsewhere()
  }

  async #masterOf(key: string): Promise<string> {
    if (!this.#topology.isKnown) await this.#begin()
    if (this.#closed) throw new StoreUnavailableError('The bridge is closed.')
    const address = this.#topology.ownerOf(slotOf(key))
    if (address === undefined) throw new StoreUnavailableError('No node of the Cluster has the slot of this session.')
    return address
  }

  /* When it connected, the store's client has found out what is where, and it knows how to connect. */
  async #begin(): Promise<void> {
    const { masters } = this.#cluster
    const master = masters.find(({ client }) => client !== undefined) ?? masters[0]
    if (master === undefined) throw new StoreUnavailableError("The session store's Cluster client is not connected.")
    const { deadlines, timeoutMs } = this.#limits
    const client = master.client ?? (await deadlines.within(() => this.#cluster.nodeClient(master)))
    if (this.#closed) return
    this.#pattern ??= client as unknown as RedisClient
    this.#topology.begin(idleMsOf(timeoutMs))
  }

  #serverAt(address: string): Server {
    const known = this.#servers.get(address)
    if (known !== undefined) return known
    // An answer that was on its way when it was closed may name one more node.
    if (this.#closed) throw new StoreUnavailableError('The bridge is closed.')
    const { options } = this.#nodeAt(address)
    const server = new Server(options, this.#listenerAt(address), readOneByOne)
    this.#servers.set(address, server)
    return server
  }

  #nodeAt(address: string): NodeAddress {
    const { nodeAddressMap: map } = this.#options
    const mapped = typeof map === 'function' ? map(address) : map?.[address]
    const options: ConnectionOptions = {
      ...this.#limits,
      client: this.#pattern as RedisClient,
      target: { ...(mapped ?? partsOf(address, address)) },
    }
    return { address, options }
  }

  #listenerAt(address: string): ConstructorParameters<typeof Server>[1] {
    return {
      onInvalidate: this.#listener.onInvalidate,
      onMissed: () => {
        this.#missedAt(address)
      },
      onRefused: (error) => {
        if (this.#untracked.size === 0) this.#listener.onRefused(error)
        this.#untracked.add(address)
      },
      onTracked: () => {
        this.#trackedAt(address)
      },
      // Its replica may have taken its place.
      onLost: () => {
        this.#topology.refresh()
        this.#lostAt(address)
      },
    }
  }

  #trackedAt(address: string): void {
    if (this.#untracked.delete(address) && this.#untracked.size === 0) this.#listener.onTracked()
  }

  #missedAt(address: string): void {
    this.#listener.onMissed((key) => {
      const slot = slotOf(key)
      return this.#topology.ownerOf(slot) === address || this.#sentOn.get(slot) === address
    })
  }

  /* A node without slots may be about to get some, and have keys of theirs already: it is left alone while it is there. */
  #retire(replicas: ReadonlySet<string>): void {
    for (const [address, server] of this.#servers) {
      if (this.#topology.owns(address) || (server.isOpen && !replicas.has(address))) continue
      this.#servers.delete(address)
      void server.close(new RetiredError())
      this.#trackedAt(address)
      this.#missedAt(address)
      this.#lostAt(address)
    }
  }
}

/* A node that does not know its own name leaves it out. */
function completed(address: string, answeredBy: string): string {
  const { host, port } = partsOf(address, answeredBy)
  return `${host}:${String(port)}`
}
