/*
 * Which processes are on the channel.
 */
import type { MessageBus } from './message-bus.js'

/** Every process gives a sign of life this often, in ms. */
const helloEveryMs = 15_000
/** For so long, in ms, a process that fell silent without a goodbye may be back: it was stopped, or cut off. */
const forgetAfterMs = 120_000
/** Those who ask at once, after an outage, are answered at once. */
const answerWithinMs = 100
/** Who is there has said so by then, if the channel has not a shorter deadline. */
const settleMs = 500
const maxPeers = 1_000

/** Never sure, since no process can be: it knows who has been there lately and has not said goodbye. */
export class NodeRoster {
  readonly #bus: MessageBus
  readonly #known = new Map<string, { readonly since: number; heardAt: number }>()
  /** Who has said goodbye, and when: others may go on telling of it for a while. */
  readonly #left = new Map<string, number>()
  #heartbeat: NodeJS.Timeout | undefined
  #answer: NodeJS.Timeout | undefined
  #settledAt = Infinity
  #isClosed = false
  /** Resolves when the channel is open for the first time. */
  readonly joined: Promise<void>
  #onJoined!: () => void

  constructor(bus: MessageBus) {
    this.#bus = bus
    this.joined = new Promise((resolve) => (this.#onJoined = resolve))
    bus.onHeard((node) => {
      this.#left.delete(node)
      this.#heard(node, performance.now())
    })
    bus.onGap(this.join)
    bus.on('who', () => {
      this.#answer ??= setTimeout(() => {
        this.#answer = undefined
        this.#tell('hello', this.peers())
      }, Math.random() * answerWithinMs).unref()
    })
    bus.on('hello', (body) => {
      this.learn(body)
    })
    bus.on('bye', (_body, { node }) => {
      this.#known.delete(node)
      this.#left.set(node, performance.now())
    })
  }

  /** By when whoever is there has told so, by `performance.now()`: Infinity before the channel is open. */
  get settledAt(): number {
    return this.#settledAt
  }

  /**
   * The others, as far as is known.
   *
   * @param at leaves out who was first heard of after that time, by `performance.now()`
   */
  nodes(at: number): string[] {
    this.#forget()
    return [...this.#known].filter(([, { since }]) => since <= at).map(([node]) => node)
  }

  /** Takes what another process knows. */
  learn(peers: unknown): void {
    if (!Array.isArray(peers)) return
    const now = performance.now()
    for (const peer of peers.slice(0, maxPeers) as unknown[]) {
      if (!Array.isArray(peer)) continue
      const [node, age] = peer as unknown[]
      if (typeof node !== 'string' || typeof age !== 'number' || !(age >= 0)) continue
      if (node === this.#bus.node || this.#left.has(node)) continue
      if (age < forgetAfterMs) this.#heard(node, now - age)
    }
  }

  /** Says goodbye. Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#heartbeat)
    clearTimeout(this.#answer)
    if (this.#settledAt !== Infinity) await this.#bus.send('bye', null).catch(noop)
  }

  #heard(node: string, at: number): void {
    const known = this.#known.get(node)
    if (known === undefined) this.#known.set(node, { since: at, heardAt: at })
    else if (at > known.heardAt) known.heardAt = at
  }

  /** The channel is open, or open again: asks who is there. */
  readonly join = (): void => {
    if (this.#isClosed) return
    this.#settledAt = performance.now() + Math.min(settleMs, this.#bus.timeoutMs / 2)
    this.#onJoined()
    this.#heartbeat ??= setInterval(() => {
      this.#tell('hello', null)
    }, helloEveryMs).unref()
    this.#tell('who', null)
  }

  #tell(kind: string, body: unknown): void {
    this.#bus.send(kind, body).catch((error: unknown) => {
      if (error instanceof Error && !this.#isClosed) this.#bus.fault(error)
    })
  }

  /** Whom this process knows, for others, each with how long ago it was heard of, in ms. */
  peers(): [string, number][] {
    this.#forget()
    const now = performance.now()
    return [...this.#known].slice(0, maxPeers).map(([node, { heardAt }]) => [node, Math.round(now - heardAt)])
  }

  #forget(): void {
    const longAgo = performance.now() - forgetAfterMs
    for (const [node, { heardAt }] of this.#known) if (heardAt < longAgo) this.#known.delete(node)
    for (const [node, at] of this.#left) if (at < longAgo) this.#left.delete(node)
  }
}

function noop(): void {
  // Whoever is gone without a goodbye is missed for a while.
}
