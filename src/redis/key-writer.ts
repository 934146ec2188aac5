/*
 * How a key is written: each call with a deadline, by a script where Redis allows one.
 */
import { StoreUnavailableError } from '../errors.js'
import type { CallTimeouts } from '../internal/call-timeouts.js'
import { areScriptsForbidden, compareAndSet, type WriteResult } from './compare-and-set.js'
import type { Deployment, Send } from './deployment.js'
import { OptimisticLock } from './optimistic-lock.js'
import { sendAsking } from './reading.js'

/** What is told of writes of one's own. */
export interface KeyWriterListener {
  /** A script begins to write on the tracking connection. Returns what is called at its end, with whether it has written. */
  readonly onBegin: (key: string) => (isDone: boolean) => void
  /** The write is announced like any other. */
  readonly onAnnounced: (key: string) => void
  /** The key was written again right after it, which is not announced. */
  readonly onOvertaken: (key: string) => void
}

/** A write that fails may have been done all the same: Redis may have got the command, and the answer was lost. */
export class KeyWriter {
  readonly #deployment: Deployment
  readonly #deadlines: CallTimeouts
  readonly #listener: KeyWriterListener
  readonly #lock: OptimisticLock
  #scriptsForbidden = false

  constructor(deployment: Deployment, deadlines: CallTimeouts, listener: KeyWriterListener) {
    this.#deployment = deployment
    this.#deadlines = deadlines
    this.#listener = listener
    this.#lock = new OptimisticLock(deployment)
  }

  /** Writes only over `expected`, and leaves the expiry as it is. */
  async replace(key: string, expected: string, next: string): Promise<WriteResult> {
    if (!this.#scriptsForbidden) {
      try {
        return await this.#replaceByScript(key, expected, next)
      } catch (error) {
        if (!(error instanceof StoreUnavailableError && areScriptsForbidden(error.cause))) throw error
        this.#scriptsForbidden = true
      }
    }
    const result = await this.#within((isLate) => this.#lock.replace(key, expected, next, isLate))
    if (result === 'replaced') this.#listener.onAnnounced(key)
    return result
  }

  async remove(key: string): Promise<void> {
    await this.#send(key, (client, asking) => sendAsking(client, asking, () => client.del(key)))
  }

  close(): void {
    this.#lock.close()
  }

  async #replaceByScript(key: string, expected: string, next: string): Promise<WriteResult> {
    const end = this.#listener.onBegin(key)
    let isDone = false
    try {
      const { result, after } = await this.#send(key, (client, asking) =>
        compareAndSet(client, asking, { key, expected, next }),
      )
      isDone = result === 'replaced'
      if (result !== 'gone' && after !== (isDone ? next : currentOf(result))) this.#listener.onOvertaken(key)
      return result
    } finally {
      end(isDone)
    }
  }

  /* While there is no connection, what is late must not be sent when there is one again. */
  #send<T>(key: string, send: Send<T>): Promise<T> {
    return this.#within((isLate) =>
      this.#deployment.ask(key, (client, asking) => {
        if (isLate()) throw new StoreUnavailableError('The session store did not answer in time.')
        return send(client, asking)
      }),
    )
  }

  #within<T>(call: (isLate: () => boolean) => Promise<T>): Promise<T> {
    let late = false
    return this.#deadlines.within(
      () => call(() => late),
      () => {
        late = true
      },
    )
  }
}

function currentOf(result: Exclude<WriteResult, 'gone'>): string | undefined {
  return result === 'replaced' ? undefined : result.current
}
