/*
 * `bridge.everywhere`: what a bridge can do with its connections, done by every process on the channel.
 */
import { forEachInBatches } from '../internal/batches.js'
import type { ChannelKey } from './channel-keys.js'
import type { MessageBus, Sender } from './message-bus.js'
import { connectionsIn, partsOf, type LocalConnection, type RemoteConnection } from './remote-connection.js'
import type { Answers, Requests } from './requests.js'
import { assertSelector, type Selector } from './selector.js'

/** What became of a call on every process. */
export interface EverywhereResult {
  /** How many connections it concerned, of the processes that have answered. */
  readonly count: number
  /** How many processes have done it, this one included. */
  readonly nodes: number
  /**
   * False if a process that should be there did not answer within the channel's deadline, or if the channel is down: it may have the
   * connections all the same.
   */
  readonly complete: boolean
}

/** How a connection is closed. */
interface CloseOptions {
  readonly code?: number | undefined
  readonly reason?: string | undefined
}

/** The connections of every process on the channel, this one included; without a channel, of this one. */
export interface Everywhere {
  /**
   * Closes connections, as `bridge.disconnect` does. At most once: a process that is cut off misses it, and `complete` says so.
   *
   * @throws {TypeError} (rejects) as `bridge.disconnect` does, and for a function: the other processes could not ask it.
   */
  disconnect(which: Selector, close?: CloseOptions): Promise<EverywhereResult>
  /**
   * Asks `authorize` again, as `bridge.reauthorize` does. The result counts whom it concerns; what `authorize` says comes later.
   *
   * @throws {TypeError} (rejects) as `bridge.reauthorize` does, and for a function.
   */
  reauthorize(which?: Selector): Promise<EverywhereResult>
  /**
   * Lists connections.
   *
   * @throws {TypeError} (rejects) as `bridge.connections` does.
   */
  connections(which?: Selector): Promise<EverywhereResult & { readonly connections: readonly RemoteConnection[] }>
}

/** The connections of this process. */
export interface LocalConnections {
  disconnect(which: Selector, close?: CloseOptions): number
  reauthorize(which?: Selector): number
  connections(which?: Selector): Iterable<LocalConnection>
}

/** What is needed to reach the others. */
export interface EverywhereDependencies {
  readonly bus: MessageBus
  readonly requests: Requests
  /** Listens on the channel from now on. Harmless a second time. */
  join(): void
}

/** How a Selector is told: session IDs are never told. */
type Told = { readonly session: string } | { readonly user: string } | null

/** Does it here at once, and everywhere else by asking. */
export class ConnectionsEverywhere implements Everywhere {
  readonly #local: LocalConnections
  readonly #others: EverywhereDependencies | undefined

  /** @param others undefined: this process is alone */
  constructor(local: LocalConnections, others?: EverywhereDependencies) {
    this.#local = local
    this.#others = others
    others?.requests.handle('disconnect', async (body, sender) => {
      const [told, close] = body as [Told, CloseOptions]
      const { code, reason } = close
      return await this.#countOf(told, sender, (which) =>
        which === undefined ? 0 : local.disconnect(which, { code, reason }),
      )
    })
    others?.requests.handle('reauthorize', (told, sender) =>
      this.#countOf(told as Told, sender, (which) => local.reauthorize(which)),
    )
    others?.requests.handle('connections', async (told, sender) => {
      const found: LocalConnection[] = []
      await this.#countOf(told as Told, sender, (which) => found.push(...local.connections(which)))
      return partsOf(found)
    })
  }

  async disconnect(which: Selector, close: CloseOptions = {}): Promise<EverywhereResult> {
    // A function would be asked here, and cannot be told to the others.
    assertSelector(which, 'disconnect')
    const count = this.#local.disconnect(which, close)
    const { code, reason } = close
    return counted(count, await this.#ask('disconnect', (told) => [told, { code, reason }], which))
  }

  async reauthorize(which?: Selector): Promise<EverywhereResult> {
    if (which !== undefined) assertSelector(which, 'reauthorize')
    const count = this.#local.reauthorize(which)
    return counted(count, await this.#ask('reauthorize', (told) => told, which))
  }

  async connections(
    which?: Selector,
  ): Promise<EverywhereResult & { readonly connections: readonly RemoteConnection[] }> {
    const own = connectionsIn(partsOf(this.#local.connections(which)), this.#others?.bus.node ?? 'this process')
    const answers = await this.#ask('connections', (told) => told, which)
    const others = [...(answers?.byNode ?? [])].flatMap(([node, parts]) => connectionsIn(parts, node))
    const connections = Object.freeze([...own, ...others])
    return {
      count: connections.length,
      nodes: 1 + (answers?.byNode.size ?? 0),
      complete: answers?.complete ?? true,
      connections,
    }
  }

  async #ask(kind: string, bodyOf: (told: Told) => unknown, which: Selector | undefined): Promise<Answers | undefined> {
    if (this.#others === undefined) return undefined
    // A process without connections asks, too: a job, or an admin's.
    this.#others.join()
    return await this.#others.requests.ask(kind, bodyOf(this.#told(which)))
  }

  #told(which: Selector | undefined): Told {
    if (which === undefined) return null
    if (typeof which === 'string') return { session: this.#others?.bus.keys.hashOf(which) ?? '' }
    return { user: String(which.user) }
  }

  /* Of another process; what it is made of has been signed, but maybe by another version. */
  async #countOf(told: Told, sender: Sender, count: (which: Selector | undefined) => number): Promise<[number]> {
    if (told === null) return [count(undefined)]
    if ('user' in told && typeof told.user === 'string') return [count({ user: told.user })]
    if (!('session' in told) || typeof told.session !== 'string')
      throw new TypeError('A question on the channel is not understood.')
    const sessionID = await this.#sessionOf(told.session, sender.signer)
    return [sessionID === undefined ? 0 : count(sessionID)]
  }

  /* Whose connections are there is looked at only when a process asks: nothing has to be kept for each session. */
  async #sessionOf(hash: string, signer: ChannelKey): Promise<string | undefined> {
    const sessions = new Set<string>()
    for (const { sessionID } of this.#local.connections()) sessions.add(sessionID)
    let found: string | undefined
    await forEachInBatches(sessions, (sessionID) => {
      if (this.#others?.bus.keys.hashOf(sessionID, signer) === hash) found = sessionID
    })
    return found
  }
}

function counted(own: number, answers: Answers | undefined): EverywhereResult {
  if (answers === undefined) return { count: own, nodes: 1, complete: true }
  const counts = [...answers.byNode.values()].map(([count]) => (typeof count === 'number' ? count : 0))
  return {
    count: counts.reduce((sum, count) => sum + count, own),
    nodes: 1 + answers.byNode.size,
    complete: answers.complete,
  }
}
