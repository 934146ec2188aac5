/*
 * Where a key is written: on the store's own client, each call with a deadline.
 */
import { StoreUnavailableError } from '../errors.js'
import type { CallTimeouts } from '../internal/call-timeouts.js'
import { areScriptsForbidden, compareAndSet, type WriteResult } from './compare-and-set.js'
import type { Deployment, KeyCommands } from './deployment.js'
import { OptimisticLock } from './optimistic-lock.js'

/** A write that fails may have been done all the same: Redis may have got the command and not the answer. */
export class KeyWriter {
  readonly #deployment: Deployment
  readonly #deadlines: CallTimeouts
  readonly #lock: OptimisticLock
  #scriptsForbidden = false

  constructor(deployment: Deployment, deadlines: CallTimeouts) {
    this.#deployment = deployment
    this.#deadlines = deadlines
    this.#lock = new OptimisticLock(deployment)
  }

  /** Writes only over `expected`, and leaves the expiry as it is. */
  async replace(key: string, expected: string, next: string): Promise<WriteResult> {
    if (!this.#scriptsForbidden) {
      try {
        return await this.#send(key, (commands) => compareAndSet(commands, key, expected, next))
      } catch (error) {
        if (!(error instanceof StoreUnavailableError && areScriptsForbidden(error.cause))) throw error
        this.#scriptsForbidden = true
      }
    }
    let late = false
    return await this.#deadlines.within(
      () => this.#lock.replace(key, expected, next, () => late),
      () => {
        late = true
      },
    )
  }

  /** @returns whether there is such a key. */
  async expire(key: string, seconds: number): Promise<boolean> {
    return (await this.#send(key, (commands) => commands.expire(key, seconds))) === 1
  }

  async remove(key: string): Promise<void> {
    await this.#send(key, (commands) => commands.del(key))
  }

  close(): void {
    this.#lock.close()
  }

  /* A client that is away would keep the command and send it when it is back, however late. */
  #send<T>(key: string, call: (commands: KeyCommands) => Promise<T>): Promise<T> {
    const { commands } = this.#deployment
    if (this.#deployment.isReady(key)) return this.#deadlines.within(() => call(commands))
    return Promise.reject(new StoreUnavailableError("The session store's Redis client is not connected."))
  }
}
