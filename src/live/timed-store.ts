/*
 * The one way to the store from inside: every call has a deadline, and one kind of error.
 */
import type { SessionData } from 'express-session'

import { CallTimeouts } from '../internal/call-timeouts.js'
import type {
  CallReportingLiveStore,
  LiveStore,
  ReplaceResult,
  StoredSession,
  TouchResult,
} from '../store/live-store.js'
import { isThenable } from '../internal/is-thenable.js'
import { fireAndForget } from '../internal/fire-and-forget.js'
import { asPromise, asReplaceResult, asTouchResult } from './live-store-answers.js'

/**
 * A LiveStore whose calls always settle, and whose answers are those of its contract. What a read resolves to is for its caller to check,
 * by `asStored`: a check in here would cost every handshake a promise.
 */
export class TimedStore {
  readonly #store: CallReportingLiveStore
  readonly #touchesAtHandshake: boolean
  readonly #calls: CallTimeouts
  readonly #onFault: (error: unknown) => void

  /** @param touchesAtHandshake whether a touch follows the read of a handshake, as with `rolling` */
  constructor(store: LiveStore, timeoutMs: number, onFault: (error: unknown) => void, touchesAtHandshake = false) {
    this.#store = store
    this.#touchesAtHandshake = touchesAtHandshake
    this.#calls = new CallTimeouts(timeoutMs)
    this.#onFault = onFault
  }

  /**
   * A promise that it returns all the same, and that rejects, is a fault: changes are found by asking then.
   *
   * @throws what the LiveStore throws: whose session cannot be watched is not let in.
   */
  watch(sessionID: string): void {
    this.#start(() => this.#store.watch(sessionID))
  }

  /** Hears of changes and errors from now on. A promise of the LiveStore that rejects is a fault here, too. */
  listen(onChange: (sessionID: string | undefined) => void): void {
    this.#start(() => this.#store.onChange(onChange))
    this.#start(() => this.#store.onFault?.(this.#onFault))
  }

  /** Never throws. */
  unwatch(sessionID: string): void {
    fireAndForget(() => this.#store.unwatch(sessionID), this.#onFault)
  }

  get(sessionID: string, held?: StoredSession): Promise<StoredSession | undefined> {
    return this.#calls.within(() => asPromise('get', this.#store.get(sessionID, held)))
  }

  /** For a handshake, which has a deadline of its own and is refused as `timeout` when it passes. */
  getForHandshake(sessionID: string, held?: StoredSession): Promise<StoredSession | undefined> {
    const store = this.#store
    if (this.#touchesAtHandshake && store.getToTouch !== undefined) return store.getToTouch(sessionID, held)
    return asPromise('get', store.get(sessionID, held))
  }

  async replace(sessionID: string, expected: StoredSession, next: SessionData): Promise<ReplaceResult> {
    const replacing = this.#calls.within(() => asPromise('replace', this.#store.replace(sessionID, expected, next)))
    return asReplaceResult(await replacing)
  }

  async touch(sessionID: string, held?: StoredSession): Promise<TouchResult> {
    const touching = this.#calls.within<TouchResult>(() => {
      const store = this.#store
      if (held === undefined || store.touchHeld === undefined) return asPromise('touch', store.touch(sessionID))
      return store.touchHeld(sessionID, held)
    })
    return asTouchResult(await touching)
  }

  destroy(sessionID: string): Promise<void> {
    return this.#calls.within(() => asPromise('destroy', this.#store.destroy(sessionID)))
  }

  /** Calls whose deadline has not come fail now. */
  close(): void {
    this.#calls.close()
  }

  #start(call: () => unknown): void {
    const returned = call()
    if (isThenable(returned)) returned.then(undefined, this.#onFault)
  }
}
