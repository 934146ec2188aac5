/*
 * The connection on which sessions are read and written, and on which Redis announces which of them have changed (CLIENT
 * TRACKING).
 */
import { setTimeout as pause } from 'node:timers/promises'

import { longestTimerMs } from '../internal/clock.js'
import { StoreUnavailableError } from '../errors.js'
import { asStoreError } from '../internal/call-timeouts.js'
import { listen, type Subscription } from './subscription.js'
import { connect, duplicateOf, type ConnectionOptions, type RedisClient } from './dedicated-client.js'

/** What is heard on the connection. */
export interface TrackingListener {
  /** A key that was read here was changed or touched. */
  readonly onInvalidate: (key: string) => void
  /** Changes may have been missed: the connection was lost, the database was flushed, or tracking is refused. */
  readonly onMissed: () => void
  /** Redis refuses to track; told once, until it tracks again. */
  readonly onRefused: (error: Error) => void
  /** Redis tracks again. */
  readonly onTracked: () => void
  /** It was lost, or could not be opened. */
  readonly onLost?: () => void
}

/** The connection was lost before the answer came. What only reads may be sent again on the next one. */
export class ConnectionLostError extends StoreUnavailableError {}

/** After how many deadlines without a question a server is asked something: a dead connection gives no sign by itself. */
const deadlinesIdle = 5
/** Without tracking, everything is to be checked this often, and tracking to be tried again. */
const untrackedCheckMs = 30_000
const longestPauseMs = 1_000
/** A connection that was lost sooner than this is one more failure. */
const soundMs = 1_000

const tracking = { RESP: 3, emitInvalidate: true }

/** How often to ask a server that is otherwise not asked anything, in ms. */
export function idleMsOf(timeoutMs: number): number {
  return Math.min(deadlinesIdle * timeoutMs, longestTimerMs)
}

/*
 * Whether Redis will never let this client track. `BUSY`, `LOADING`, `MASTERDOWN`, `max number of clients` and whatever else it
 * may answer are passing: then the connection is opened again.
 */
function isRefusal(error: unknown): error is Error {
  return error instanceof Error && /^(NOPERM|NOPROTO|ERR unknown (sub)?command)/i.test(error.message)
}

/** Opens on first use and stays open until `close`, by itself, with a fresh connection each time. */
export class TrackingConnection {
  readonly #options: ConnectionOptions
  readonly #listener: TrackingListener
  readonly #closing = new AbortController()
  readonly #waiting: Waiter[] = []
  #client: RedisClient | undefined
  /** What is open now. */
  #opened: OpenedClient | undefined
  #subscription: Subscription | undefined
  /** Why the last attempt failed; until another succeeds, calls fail at once. */
  #failure: StoreUnavailableError | undefined
  #running: Promise<void> | undefined
  #openedBefore = false
  #refused = false
  #answeredAt = 0

  constructor(options: ConnectionOptions, listener: TrackingListener) {
    this.#options = options
    this.#listener = listener
  }

  /**
   * Sends commands, and waits for their answers no longer than a deadline; a connection that lets one pass is thrown away.
   *
   * @throws {ConnectionLostError} (rejects) if the connection was lost meanwhile: what was sent may have been done.
   * @throws {StoreUnavailableError} (rejects) if there is none, or no answer in time, or an error for an answer.
   */
  async ask<T>(send: (client: RedisClient) => Promise<T>): Promise<T> {
    const client = this.#client ?? (await this.#whenOpen())
    const call = { isLate: false }
    try {
      const answer = await this.#options.deadlines.within(
        () => send(client),
        () => {
          call.isLate = true
          client.destroy()
        },
      )
      this.#answeredAt = performance.now()
      return answer
    } catch (error) {
      if (this.#client === client || call.isLate) throw error
      throw new ConnectionLostError(undefined, { cause: error })
    }
  }

  /** Whether a command would be sent at once. */
  get isOpen(): boolean {
    return this.#client !== undefined
  }

  /** Listens to a channel from now on, which opens the connection; `undefined`: no longer. */
  listen(subscription: Subscription | undefined): void {
    const before = this.#subscription
    if (before === subscription || this.#isClosed) return
    this.#subscription = subscription
    if (before !== undefined) this.#client?.unsubscribe(before.name).catch(() => undefined)
    if (subscription === undefined) return
    if (this.#opened !== undefined) void this.#listenOn(this.#opened)
    this.#running ??= this.#keepOpen()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#client?.destroy()
    this.#failWaiting(new StoreUnavailableError('The bridge is closed.'))
    await this.#running
  }

  get #idleMs(): number {
    return idleMsOf(this.#options.timeoutMs)
  }

  get #isClosed(): boolean {
    return this.#closing.signal.aborted
  }

  #whenOpen(): Promise<RedisClient> {
    if (this.#isClosed) return Promise.reject(new StoreUnavailableError('The bridge is closed.'))
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    this.#running ??= this.#keepOpen()
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  async #keepOpen(): Promise<void> {
    let failures = 0
    while (!this.#isClosed) {
      try {
        const lasted = await this.#openOnce()
        failures = lasted < soundMs ? failures + 1 : 0
      } catch (error) {
        failures += 1
        this.#failure = asStoreError(error)
        this.#failWaiting(this.#failure)
      }
      this.#listener.onLost?.()
      if (failures > 0) await this.#pause(failures)
    }
  }

  /* Half of the pause is chance, so that the processes that lost the same server do not come back all at once. */
  async #pause(failures: number): Promise<void> {
    const longest = Math.min(25 * 2 ** failures, longestPauseMs)
    const { signal } = this.#closing
    await pause(longest * (0.5 + Math.random() / 2), undefined, { ref: false, signal }).catch(() => undefined)
  }

  /* Resolves when the connection is lost, to how long it was open. */
  async #openOnce(): Promise<number> {
    const openedAt = performance.now()
    let opened: OpenedClient
    try {
      opened = await this.#connected(tracking)
    } catch (error) {
      const { cause } = asStoreError(error)
      if (!isRefusal(cause)) throw error
      // What was refused is tracking if a connection without it is not.
      const untracked = await this.#connectedUntracked()
      if (!this.#refused && !this.#isClosed) this.#listener.onRefused(cause)
      this.#refused = true
      const successor = await this.#serveUntracked(untracked)
      if (successor === undefined) return performance.now() - openedAt
      opened = successor
    }
    if (this.#refused) this.#listener.onTracked()
    this.#refused = false
    await this.#serve(opened, opened.lost)
    return performance.now() - openedAt
  }

  /* Resolves when the connection is lost, or to a connection that is tracked and takes its place. */
  async #serveUntracked(untracked: OpenedClient): Promise<OpenedClient | undefined> {
    let isOver = false
    let takeOver!: (successor: OpenedClient) => void
    const succeeded = new Promise<OpenedClient>((resolve) => (takeOver = resolve))
    const timer = setInterval(() => {
      this.#listener.onMissed()
      this.#connected(tracking).then(
        (successor) => {
          if (isOver) successor.client.destroy()
          else takeOver(successor)
        },
        () => undefined,
      )
    }, untrackedCheckMs)
    timer.unref()
    const over = Promise.race([untracked.lost, succeeded])
    await this.#serve(untracked, over)
    isOver = true
    clearInterval(timer)
    const successor = await over
    // What it was asked is answered first.
    if (successor !== undefined) this.#retire(untracked.client)
    return successor
  }

  async #connectedUntracked(): Promise<OpenedClient> {
    try {
      return await this.#connected({ RESP: 3 })
    } catch (error) {
      if (!isRefusal(asStoreError(error).cause)) throw error
      return { ...(await this.#connected({ RESP: 2 })), takesCommandsOnly: true }
    }
  }

  /* With RESP 2 a connection that listens takes no commands: then it has another one at its side, and both are lost together. */
  async #listenOn({ client, lost, takesCommandsOnly }: OpenedClient): Promise<void> {
    const { deadlines } = this.#options
    const current = this.#subscription
    if (current === undefined) return
    // What is on its way when another connection takes over comes by that one, too, or is a gap for it.
    const isCurrent = (): boolean => this.#subscription === current && this.#opened?.client === client
    const onMessage = (message: string): void => {
      if (isCurrent()) current.onMessage(message)
    }
    const subscription = { ...current, onMessage }
    if (takesCommandsOnly !== true) {
      await listen(client, subscription, deadlines)
      return
    }
    const listener = duplicateOf(this.#options, { RESP: 2 }, () => {
      client.destroy()
    })
    void lost.then(() => {
      listener.destroy()
    })
    await connect(listener, deadlines).then(
      () => listen(listener, subscription, deadlines),
      () => {
        client.destroy()
      },
    )
  }

  #retire(client: RedisClient): void {
    const destroy = (): void => {
      client.destroy()
    }
    this.#options.deadlines.within(() => client.close()).catch(destroy)
  }

  async #connected(settings: object): Promise<OpenedClient> {
    let lose!: () => void
    const lost = new Promise<undefined>((resolve) => {
      lose = () => {
        resolve(undefined)
      }
    })
    const client = duplicateOf(this.#options, settings, () => {
      if (this.#client === client) this.#client = undefined
      lose()
    })
    client.on('invalidate', (key: Buffer | string | null) => {
      if (key === null) this.#listener.onMissed()
      else this.#listener.onInvalidate(key.toString())
    })
    await connect(client, this.#options.deadlines)
    return { client, lost }
  }

  async #serve(opened: OpenedClient, over: Promise<unknown>): Promise<void> {
    const { client } = opened
    // Closed, or lost again, before this turn came.
    if (this.#isClosed) client.destroy()
    if (!client.isReady) return
    this.#client = client
    this.#opened = opened
    void this.#listenOn(opened)
    this.#failure = undefined
    for (const { resolve } of this.#waiting.splice(0)) resolve(client)
    if (this.#openedBefore) this.#listener.onMissed()
    this.#openedBefore = true
    const timer = setInterval(this.#beat, this.#idleMs)
    timer.unref()
    await over
    if (this.#opened === opened) this.#opened = undefined
    clearInterval(timer)
  }

  readonly #beat = (): void => {
    if (performance.now() - this.#answeredAt < this.#idleMs) return
    this.ask((client) => client.ping()).catch(() => undefined)
  }

  #failWaiting(error: Error): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error)
  }
}

interface OpenedClient {
  readonly client: RedisClient
  /** Resolves when it is no longer open. */
  readonly lost: Promise<undefined>
  /** It speaks RESP 2 and cannot listen at the same time. */
  readonly takesCommandsOnly?: boolean
}

interface Waiter {
  readonly resolve: (client: RedisClient) => void
  readonly reject: (error: Error) => void
}
