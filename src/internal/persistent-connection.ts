/*
 * One connection that stays open: opened on first use, and again after every loss.
 */
import { setTimeout as pause } from 'node:timers/promises'

import { Backoff } from './backoff.js'
import { CallTimeouts, type CallErrors } from './call-timeouts.js'
import { longestTimerMs } from './clock.js'

/** How a connection of some kind is made, asked and thrown away. */
export interface Connector<C> {
  /** Makes one that is not open yet. It calls `onLost` once it is no longer open, any number of times. */
  create(onLost: () => void): C
  /** Opens it, and makes it ready for use. */
  open(connection: C): Promise<void>
  /** Asks the other end whether it is there. */
  check(connection: C): Promise<unknown>
  /** Closes it at once, in whatever state it is. Must not throw. */
  destroy(connection: C): void
}

/** What is told of it. None of these may throw. */
export interface ConnectionEvents {
  /** It is open, for the first time or once more. */
  readonly onOpen: () => void
  /** It could not be opened; tried again after a pause. */
  readonly onFailure: (error: Error) => void
}

export interface ConnectionSettings {
  /** How long opening it, and each call, may take, in ms. */
  readonly timeoutMs: number
  readonly errors: Required<CallErrors>
}

const firstPauseMs = 50
const longestPauseMs = 1_000
/** A connection that was lost sooner than this is one more failure. */
const soundMs = 1_000
/** How long it may be left unasked, in deadlines: a connection that leads nowhere gives no sign by itself. */
const deadlinesIdle = 5

/** Every call has a deadline, and a connection that lets one pass is thrown away. Keeps no process alive but by open calls. */
export class PersistentConnection<C> {
  readonly #connector: Connector<C>
  readonly #events: ConnectionEvents
  readonly #errors: Required<CallErrors>
  readonly #calls: CallTimeouts
  readonly #idleMs: number
  readonly #closing = new AbortController()
  #current: { readonly connection: C; readonly lose: () => void } | undefined
  #isOpen = false
  /** Why the last attempt failed; until another succeeds, nothing waits for it. */
  #failure: Error | undefined
  #running: Promise<void> | undefined
  #attempt: Promise<void> | undefined
  #usedAt = 0

  constructor(connector: Connector<C>, events: ConnectionEvents, { timeoutMs, errors }: ConnectionSettings) {
    this.#connector = connector
    this.#events = events
    this.#errors = errors
    this.#calls = new CallTimeouts(timeoutMs, errors)
    this.#idleMs = Math.min(deadlinesIdle * timeoutMs, longestTimerMs)
  }

  /** Whether a call would go out at once. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Begins to open it, unless that has begun already. */
  start(): void {
    if (this.#isClosed()) return
    this.#running ??= this.#keepOpen()
  }

  /**
   * Uses the connection, within the deadline. While the first attempt to open it is under way, or the first after a loss, that is
   * waited for.
   *
   * @throws (rejects) if there is none, or no answer in time.
   */
  async use<T>(call: (connection: C) => Promise<T>): Promise<T> {
    this.start()
    if (!this.#isOpen && this.#failure === undefined) await this.#attempt
    const current = this.#isOpen ? this.#current : undefined
    if (current === undefined) throw this.#failure ?? this.#errors.failed(new Error('The connection was lost.'))
    const answer = await this.#calls.within(
      () => call(current.connection),
      () => this.#discard(current),
    )
    this.#usedAt = performance.now()
    return answer
  }

  /** Closes it, for good. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#failure = this.#errors.closed()
    if (this.#current !== undefined) this.#discard(this.#current)
    this.#calls.close()
    await this.#running
  }

  #isClosed(): boolean {
    return this.#closing.signal.aborted
  }

  async #keepOpen(): Promise<void> {
    const backoff = new Backoff(firstPauseMs, longestPauseMs)
    while (!this.#isClosed()) {
      const attempt = this.#openOnce()
      this.#attempt = attempt.then(noop, noop)
      try {
        const { lost, openedAt } = await attempt
        await lost
        if (performance.now() - openedAt >= soundMs) {
          backoff.reset()
          continue
        }
      } catch (error) {
        if (this.#isClosed()) return
        this.#failure = this.#errors.failed(error)
        this.#events.onFailure(this.#failure)
      }
      await this.#pause(backoff.next())
    }
  }

  async #openOnce(): Promise<{ lost: Promise<void>; openedAt: number }> {
    let lose!: () => void
    const lost = new Promise<void>((resolve) => (lose = resolve))
    const connection = this.#connector.create(lose)
    const current = { connection, lose }
    this.#current = current
    try {
      await this.#calls.within(() => this.#connector.open(connection))
    } catch (error) {
      this.#discard(current)
      throw error
    }
    this.#isOpen = true
    this.#failure = undefined
    const openedAt = (this.#usedAt = performance.now())
    const timer = setInterval(() => {
      this.#checkIfIdle()
    }, this.#idleMs).unref()
    this.#events.onOpen()
    return {
      openedAt,
      lost: lost.then(() => {
        clearInterval(timer)
        this.#isOpen = false
        // What was lost may be half open still.
        this.#connector.destroy(connection)
      }),
    }
  }

  #discard({ connection, lose }: { connection: C; lose: () => void }): void {
    this.#connector.destroy(connection)
    lose()
  }

  #checkIfIdle(): void {
    // A timer may fire a little early, and would leave it unasked for twice as long.
    if (performance.now() - this.#usedAt < 0.9 * this.#idleMs) return
    const current = this.#current
    this.use((connection) => this.#connector.check(connection)).catch(() => {
      // The other end is there, but refuses: as good as lost.
      if (current !== undefined && current === this.#current) this.#discard(current)
    })
  }

  async #pause(ms: number): Promise<void> {
    await pause(ms, undefined, { ref: false, signal: this.#closing.signal }).catch(noop)
  }
}

function noop(): void {
  // Told elsewhere.
}
