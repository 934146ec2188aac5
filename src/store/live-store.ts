/*
 * The interface between the bridge and a place where sessions are kept.
 */
import type { SessionData } from 'express-session'

import type { StoreCallListener } from './store-calls.js'

/** A record as it was read: what `replace` compares with. How a LiveStore marks a version is its own affair. */
export interface StoredSession {
  /** What the store holds, as `store.get` gives it. The bridge only reads it. */
  readonly record: SessionData
  /**
   * When the store will forget the session, in ms since the epoch; `undefined` where it does not say. A record's own
   * `cookie.expires` is no proof of it: `touch` may move the one without the other.
   */
  readonly expiresAt: number | undefined
}

/** What became of a `replace`. */
export type ReplaceResult = { readonly replaced: StoredSession } | { readonly changed: StoredSession } | 'gone'

/**
 * A session store that can say when a session may have changed, and write one without overwriting what it has not seen.
 *
 * Every method that returns a promise rejects when the store cannot be reached; none of them throws.
 */
export interface LiveStore {
  /** Reads a session; `undefined` if there is none. Resolves to `held` itself where nothing changed. */
  get(sessionID: string, held?: StoredSession): Promise<StoredSession | undefined>
  /** Writes `next` only if the record is still `expected`; says what is there now. */
  replace(sessionID: string, expected: StoredSession, next: SessionData): Promise<ReplaceResult>
  /** Puts off the expiry, as express-session does at the end of a request. */
  touch(sessionID: string): Promise<'touched' | 'gone'>
  /** Removes the session. */
  destroy(sessionID: string): Promise<void>
  /** Change reports are wanted for this ID from now on. */
  watch(sessionID: string): void
  /** Change reports are wanted no more. */
  unwatch(sessionID: string): void
  /** Registers the one listener of reports. `undefined` instead of an ID: check everything that is watched. */
  onChange(listener: (sessionID: string | undefined) => void): void
  /** Registers the one listener of what goes wrong outside any call; it becomes a `fault` of the bridge. */
  onFault?(listener: (error: Error) => void): void
  /** Ends what the LiveStore has opened; the store's own client stays open. */
  close(): Promise<void>
}

/** What became of a `touchHeld`. `touched` without a record: a report is still to come. */
export type TouchResult = { readonly touched: StoredSession } | 'touched' | 'gone'

/** What the bridge's own LiveStores can do in addition. */
export interface CallReportingLiveStore extends LiveStore {
  /** A `touch` of a session that need not be read first. Says what the store holds now, so that it need not be read after it. */
  touchHeld?(sessionID: string, held: StoredSession): Promise<TouchResult>
  /**
   * Registers the one listener of the calls that this process makes to the store, of watched sessions and of all
   * (`sessionID` undefined): right after each call, and again with the same object at its answer. From then on such a call
   * is not told to the listener of `onChange` as well.
   *
   * A `set` by `replace` of this LiveStore is told only if it fails or is answered too late, since `replace` itself says
   * what it did. Its `touch` and `destroy` are told like everybody's.
   */
  onStoreCall?(listener: StoreCallListener): void
}
