/*
 * A Cluster: each of its masters holds the sessions of its slots, and slots move.
 */
import type { RedisClusterType } from 'redis'

import { StoreUnavailableError } from '../errors.js'
import { partsOf } from './cluster-slots.js'
import { ClusterTopology } from './cluster-topology.js'
import type { Deployment, DeploymentListener, KeyCommands, NodeAddress } from './deployment.js'
import { slotOf } from './key-slot.js'
import type { CallLimits, ConnectionOptions, RedisClient } from './dedicated-client.js'
import { readOneByOne, type Reading } from './reading.js'
import { redirectionOf } from './redirection.js'
import { RetiredError, Server } from './server.js'
import { idleMsOf } from './tracking-connection.js'

/** A key that is sent on more often than this is in a Cluster that does not know itself where it is. */
const mostHops = 5

type Address = { readonly host: string; readonly port: number } | undefined

/** What node-redis has no public name for: the options that a Cluster was created with. */
interface ClusterOptions {
  readonly keyPrefix?: string | Buffer
  readonly nodeAddressMap?: Readonly<Record<string, Address>> | ((address: string) => Address)
}

/** A client of `createCluster`. Each node is a {@link Server}; what is special here is only where a key is. */
export class Cluster implements Deployment {
  readonly keyPrefix: string
  readonly commands: KeyCommands
  readonly #cluster: RedisClusterType
  readonly #options: ClusterOptions
  readonly #limits: CallLimits
  readonly #listener: DeploymentListener
  readonly #topology: ClusterTopology
  readonly #servers = new Map<string, Server>()
  /** Where a node has sent on to for a slot that it owned by what was known: keys of it are announced there by now. */
  readonly #sentOn = new Map<number, string>()
  /** Any node's client: all have the same settings but for their addresses. */
  #pattern: RedisClient | undefined
  /** Where tracking is refused. */
  readonly #untracked = new Set<string>()
  #closed = false

  constructor(cluster: RedisClusterType, limits: CallLimits, listener: DeploymentListener) {
    this.#cluster = cluster
    this.#options = (cluster as unknown as { readonly _options: ClusterOptions })._options
    this.keyPrefix = String(this.#options.keyPrefix ?? '')
    // As for a single server, the timeout takes back what could not even be sent.
    this.commands = cluster.withCommandOptions({ timeout: limits.timeoutMs, typeMapping: {} })
    this.#limits = limits
    this.#listener = listener
    this.#topology = new ClusterTopology({
      cluster,
      isOpen: (address) => this.#servers.get(address)?.isOpen === true,
      ask: (address, send) => this.#serverAt(address).ask(send),
      onKnown: (moved, replicas) => {
        this.#retire(replicas)
        for (const slot of moved) this.#sentOn.delete(slot)
        // Their new owners know nothing of what was read elsewhere, and announce none of it.
        if (moved.size > 0) listener.onMissed((key) => moved.has(slotOf(key)))
      },
    })
  }

  isReady(key: string): boolean {
    // redis 6.0 has only the second.
    const { isReady, isOpen } = this.#cluster as { readonly isReady?: boolean; readonly isOpen: boolean }
    if (!(isReady ?? isOpen)) return false
    const shard = this.#cluster.slots[slotOf(this.keyPrefix + key)]
    // A node that was never used is connected to for the command (node-redis, `minimizeConnections`).
    return shard !== undefined && shard.master.client?.isReady !== false
  }

  async read(key: string, withExpiry: boolean): Promise<Reading> {
    let address = await this.#addressOf(key)
    let asking = false
    for (let hops = 0; hops <= mostHops; hops += 1) {
      try {
        return await this.#serverAt(address).read(key, withExpiry, asking)
      } catch (error) {
        const redirection = redirectionOf(error)
        if (redirection !== undefined) {
          // A slot that is still on its way has not changed hands.
          if (!redirection.asking) this.#topology.refresh(address)
          address = completed(redirection.address, address)
          asking = redirection.asking
          this.#sentOn.set(slotOf(this.keyPrefix + key), address)
        } else if (error instanceof RetiredError) {
          address = await this.#addressOf(key)
          asking = false
        } else {
          throw error
        }
      }
    }
    throw new StoreUnavailableError('The Cluster sends the question from node to node.')
  }

  async placeOf(key: string): Promise<NodeAddress> {
    return this.#placeAt(await this.#addressOf(key))
  }

  redirected(address: string, from: NodeAddress): NodeAddress {
    this.#topology.refresh(from.address)
    return this.#placeAt(completed(address, from.address))
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#topology.close()
    await Promise.all([...this.#servers.values()].map((server) => server.close()))
  }

  async #addressOf(key: string): Promise<string> {
    if (!this.#topology.isKnown) await this.#begin()
    if (this.#closed) throw new StoreUnavailableError('The bridge is closed.')
    const address = this.#topology.ownerOf(slotOf(this.keyPrefix + key))
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
    const { options } = this.#placeAt(address)
    const server = new Server(options, this.#listenerAt(address), readOneByOne)
    this.#servers.set(address, server)
    return server
  }

  #placeAt(address: string): NodeAddress {
    const { nodeAddressMap: map } = this.#options
    const mapped = typeof map === 'function' ? map(address) : map?.[address]
    const options: ConnectionOptions = {
      ...this.#limits,
      client: this.#pattern as RedisClient,
      target: { ...(mapped ?? partsOf(address, address)), keyPrefix: this.keyPrefix },
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
    }
  }
}

/* A node that does not know its own name leaves it out. */
function completed(address: string, answeredBy: string): string {
  const { host, port } = partsOf(address, answeredBy)
  return `${host}:${String(port)}`
}
