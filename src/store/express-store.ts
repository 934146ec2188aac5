/*
 * Any express-session Store, read as promises.
 * In: a Store with callbacks. Out: records.
 */
import type { SessionData, Store } from 'express-session'

import { StoreUnavailableError } from '../errors.js'
import type { StoredSession } from './live-store.js'
import { settleOnce } from './settle-once.js'

/** Reads sessions from a Store and knows whether it has said that it is disconnected. */
export class ExpressStore {
  readonly #store: Store
  #connected = true

  constructor(store: Store) {
    this.#store = store
    // The two events by which express-session itself knows (index.js, `storeReady`).
    store.on('disconnect', this.#onDisconnect)
    store.on('connect', this.#onConnect)
  }

  /** @throws {StoreUnavailableError} (rejects) when the store fails or has said that it is disconnected. */
  async get(sessionID: string): Promise<StoredSession | undefined> {
    if (!this.#connected) throw new StoreUnavailableError('The session store is disconnected.')
    const record = await settleOnce<SessionData | null>((callback) =>
      this.#store.get(sessionID, (error: unknown, found) => {
        if (isNoSuchFile(error)) callback()
        else callback(error, found)
      }),
    ).catch(asUnavailable)
    return record ? { record, expiresAt: undefined } : undefined
  }

  close(): void {
    this.#store.off('disconnect', this.#onDisconnect)
    this.#store.off('connect', this.#onConnect)
  }

  readonly #onDisconnect = (): void => {
    this.#connected = false
  }

  readonly #onConnect = (): void => {
    this.#connected = true
  }
}

/* Stores that keep files answer ENOENT for an unknown ID, and express-session takes that for no session. */
function isNoSuchFile(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT'
}

function asUnavailable(cause: unknown): never {
  throw new StoreUnavailableError(undefined, { cause })
}
