/*
 * A worker of node:cluster, with its way to a primary that calls `clusterChannel.relay()`.
 */
import { Backoff } from '../internal/backoff.js'
import { listenToPrimary, marked, unmarked, type ToPrimary } from './cluster-messages.js'

/** Messages that wait for the primary's word. */
const maxWaiting = 1_000

/** A channel in a worker. */
export interface WorkerListener {
  readonly onMessage: (name: string, message: string) => void
  readonly onGap: () => void
}

/** How a worker reaches the others. */
export interface WorkerLink {
  /** What is wrong when it takes too long. */
  readonly tooLate: string
  listen(listener: WorkerListener): void
  leave(listener: WorkerListener): void
  /**
   * Resolves when the primary has passed it on.
   *
   * @param from who is not told of it
   */
  publish(name: string, message: string, from?: WorkerListener): Promise<void>
  /** Called when one is too late. */
  forgetUnanswered(): void
}

/** There is one in a worker, whatever the number of its channels. */
export class ClusterWorker implements WorkerLink {
  static #only: ClusterWorker | undefined

  static get(): ClusterWorker {
    ClusterWorker.#only ??= new ClusterWorker()
    return ClusterWorker.#only
  }

  readonly tooLate = 'The primary passes no messages on, or not in time: it has to call clusterChannel.relay().'
  readonly #listeners = new Set<WorkerListener>()
  readonly #waiting = new Map<number, () => void>()
  readonly #backoff = new Backoff(50, 1_000)
  #count = 0
  #isJoined = false
  #retry: NodeJS.Timeout | undefined

  private constructor() {
    listenToPrimary(this.#onMessage)
  }

  listen(listener: WorkerListener): void {
    this.#listeners.add(listener)
    if (this.#isJoined) setImmediate(listener.onGap)
    else if (this.#retry === undefined) this.#join()
  }

  leave(listener: WorkerListener): void {
    this.#listeners.delete(listener)
  }

  /** Never settles where the primary does not pass it on. */
  publish(name: string, message: string, from?: WorkerListener): Promise<void> {
    // The primary tells the other processes only.
    for (const listener of this.#listeners) if (listener !== from) setImmediate(() => listener.onMessage(name, message))
    this.#count += 1
    const id = this.#count
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, resolve)
      this.#send({ type: 'publish', id, name, message }, (error) => {
        this.#waiting.delete(id)
        reject(error)
      })
    })
  }

  /** A primary that does not pass on must not collect what waits for it. */
  forgetUnanswered(): void {
    for (const id of this.#waiting.keys()) {
      if (this.#waiting.size <= maxWaiting) return
      this.#waiting.delete(id)
    }
  }

  /* The primary may begin to pass on later. */
  #join(): void {
    this.#send({ type: 'join' }, () => undefined)
    this.#retry = setTimeout(() => {
      if (!this.#isJoined && process.connected) this.#join()
    }, this.#backoff.next()).unref()
  }

  #send(message: ToPrimary, onError: (error: Error) => void): void {
    if (process.send === undefined || !process.connected) {
      onError(new Error('The worker is not connected to its primary.'))
      return
    }
    process.send(marked(message), undefined, undefined, (error) => {
      if (error !== null) onError(error)
    })
  }

  readonly #onMessage = (message: unknown): void => {
    const told = unmarked(message)
    if (told?.type === 'told') {
      this.#waiting.get(told.id)?.()
      this.#waiting.delete(told.id)
    }
    if (told?.type === 'message') for (const listener of this.#listeners) listener.onMessage(told.name, told.message)
    if (told?.type === 'gap' || (told?.type === 'joined' && !this.#isJoined)) {
      this.#isJoined = true
      clearTimeout(this.#retry)
      for (const listener of this.#listeners) listener.onGap()
    }
  }
}
