/*
 * Questions that every process answers.
 */
import type { MessageBus, Sender } from './message-bus.js'
import type { NodeRoster } from './node-roster.js'

/** Answers a question, in one part or in several. What it throws is a fault. */
export type AnswerRequest = (body: unknown, sender: Sender) => Iterable<unknown> | Promise<Iterable<unknown>>

/** What the others have answered. */
export interface Answers {
  /** By node, the parts of those who have answered in full. */
  readonly byNode: ReadonlyMap<string, readonly unknown[]>
  /** Every process that should be there has answered. */
  readonly complete: boolean
}

/** How many parts one answer may have. */
const maxParts = 10_000

/** Every question has a deadline: that of the channel. */
export class Requests {
  readonly #bus: MessageBus
  readonly #roster: NodeRoster
  readonly #handlers = new Map<string, AnswerRequest>()
  readonly #open = new Map<string, OpenRequest>()
  #count = 0

  constructor(bus: MessageBus, roster: NodeRoster) {
    this.#bus = bus
    this.#roster = roster
    bus.on('ask', (body, sender) => {
      void this.#answer(body, sender)
    })
    bus.on('answer', (body, { node }) => {
      this.#onAnswer(body, node)
    })
  }

  /** Registers what answers a kind of question. */
  handle(kind: string, handler: AnswerRequest): void {
    this.#handlers.set(kind, handler)
  }

  /** Asks all the others. Never rejects. */
  async ask(kind: string, body: unknown): Promise<Answers> {
    this.#count += 1
    const id = `${this.#bus.node}/${this.#count}`
    const request = new OpenRequest(this.#roster, this.#bus.timeoutMs)
    this.#open.set(id, request)
    void this.#roster.joined.then(() => {
      // No answer would be heard before.
      if (!request.begin()) return
      this.#bus.send('ask', [id, kind, body]).catch(() => {
        request.fail()
      })
    })
    try {
      const { byNode, complete } = await request.done
      // Who does not hear of the others does not know whether there are any.
      return { byNode, complete: complete && !this.#bus.isDeaf }
    } finally {
      this.#open.delete(id)
    }
  }

  /** Whoever waits gets what has come by now. */
  close(): void {
    for (const request of this.#open.values()) request.fail()
  }

  async #answer(request: unknown, sender: Sender): Promise<void> {
    const [id, kind, body] = Array.isArray(request) ? (request as unknown[]) : []
    const handler = typeof kind === 'string' ? this.#handlers.get(kind) : undefined
    if (typeof id !== 'string' || handler === undefined) return
    try {
      const parts = [...(await handler(body, sender))]
      const peers = this.#roster.peers()
      // One at a time, so that a large answer does not hold up what others have to tell.
      for (const [index, part] of parts.entries()) {
        await this.#bus.send('answer', [id, index, parts.length, part, index === 0 ? peers : null])
      }
    } catch (error) {
      this.#bus.fault(error instanceof Error ? error : new Error('A question on the channel could not be answered.'))
    }
  }

  #onAnswer(answer: unknown, node: string): void {
    const [id, index, count, part, peers] = Array.isArray(answer) ? (answer as unknown[]) : []
    const request = typeof id === 'string' ? this.#open.get(id) : undefined
    if (request === undefined || typeof index !== 'number' || typeof count !== 'number') return
    if (!Number.isInteger(index) || !Number.isInteger(count) || index < 0 || index >= count || count > maxParts) return
    this.#roster.learn(peers)
    request.add(node, index, count, part)
  }
}

class OpenRequest {
  readonly done: Promise<Answers>
  readonly #roster: NodeRoster
  #askedAt = Infinity
  readonly #parts = new Map<string, Map<number, unknown>>()
  readonly #byNode = new Map<string, readonly unknown[]>()
  readonly #deadline: NodeJS.Timeout
  #settling: NodeJS.Timeout | undefined
  #isSettled = false
  #isOver = false
  #resolve!: (answers: Answers) => void

  constructor(roster: NodeRoster, timeoutMs: number) {
    this.#roster = roster
    this.done = new Promise((resolve) => (this.#resolve = resolve))
    // Not unref'd: a caller waits for the answer.
    this.#deadline = setTimeout(() => {
      this.#finish(false)
    }, timeoutMs)
  }

  /** It is to be asked now; false if it is too late for that. */
  begin(): boolean {
    if (this.#isOver) return false
    const now = performance.now()
    const settlesInMs = this.#roster.settledAt - now
    if (settlesInMs <= 0) {
      this.#askedAt = now
      // There may be no other process.
      this.#settled()
      return true
    }
    // A process that has just come does not know yet who is there: whoever says so in time is waited for.
    this.#settling = setTimeout(() => {
      this.#settled()
    }, settlesInMs)
    return true
  }

  add(node: string, index: number, count: number, part: unknown): void {
    const parts = this.#parts.get(node) ?? new Map<number, unknown>()
    this.#parts.set(node, parts.set(index, part))
    if (parts.size === count) {
      this.#byNode.set(
        node,
        Array.from({ length: count }, (_, at) => parts.get(at)),
      )
    }
    if (this.#isSettled) this.#finishIfComplete()
  }

  fail(): void {
    this.#finish(false)
  }

  /* It is known who is asked. No clock is looked at for that later: a timer may be early, and the channel may be opened anew. */
  #settled(): void {
    this.#isSettled = true
    this.#finishIfComplete()
  }

  #finishIfComplete(): void {
    // A process that has said goodbye meanwhile no longer has connections; who has come meanwhile has none from before.
    const asked = this.#roster.nodes(this.#askedAt)
    if (asked.every((node) => this.#byNode.has(node))) this.#finish(true)
  }

  #finish(complete: boolean): void {
    clearTimeout(this.#deadline)
    clearTimeout(this.#settling)
    this.#isOver = true
    this.#resolve({ byNode: this.#byNode, complete })
  }
}
