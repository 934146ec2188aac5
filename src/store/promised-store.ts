/*
 * The methods of an express-session Store as promises.
 */
import type { SessionData, Store } from 'express-session'

import { StoreUnavailableError } from '../errors.js'
import { settleOnce, type StoreCallback } from './settle-once.js'
import { connectionOf, type StoreConnection } from './store-connection.js'

/** All of them reject with {@link StoreUnavailableError}, at once where the store has said that it is disconnected. */
export class PromisedStore {
  readonly store: Store
  readonly connection: StoreConnection

  constructor(store: Store) {
    this.store = store
    this.connection = connectionOf(store)
  }

  /** @param of makes the result of the record within the callback, which saves every handshake a promise; it must not throw */
  get<R>(sessionID: string, of: (record: SessionData | null | undefined) => R): Promise<R> {
    return this.#call<SessionData | null, R>(
      (callback) =>
        this.store.get(sessionID, (error: unknown, record) => {
          if (isMissingFile(error)) callback()
          else callback(error, record)
        }),
      of,
    )
  }

  set(sessionID: string, session: SessionData): Promise<void> {
    return this.#call((callback) => this.store.set(sessionID, session, callback), nothing)
  }

  /** Does nothing where the store has no `touch`. */
  touch(sessionID: string, session: SessionData): Promise<void> {
    return this.#call((callback) => this.store.touch?.(sessionID, session, callback), nothing)
  }

  get hasTouch(): boolean {
    return typeof this.store.touch === 'function'
  }

  destroy(sessionID: string): Promise<void> {
    return this.#call((callback) => this.store.destroy(sessionID, callback), nothing)
  }

  #call<T, R>(start: (callback: StoreCallback<T>) => unknown, of: (value: T | undefined) => R): Promise<R> {
    if (!this.connection.isConnected)
      return Promise.reject(new StoreUnavailableError('The session store is disconnected.'))
    return settleOnce(start, of)
  }
}

function nothing(): void {
  // A store's answer to a write has no value.
}

/*
 * Stores that keep files answer ENOENT for an unknown ID, and express-session takes that for no session. The ENOENT of a
 * Unix socket that is not there, or of a program that cannot be started, is a store that failed.
 */
function isMissingFile(error: unknown): boolean {
  if (typeof error !== 'object' || error === null || !('code' in error) || error.code !== 'ENOENT') return false
  const syscall = 'syscall' in error ? error.syscall : undefined
  return typeof syscall !== 'string' || !/^(connect|spawn)/.test(syscall)
}
