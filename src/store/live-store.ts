/*
 * The interface between the bridge and a place where sessions are kept.
 */
import type { SessionData } from 'express-session'

import type { StoreCallListener } from './store-calls.js'

/** A record as it was read: what `replace` compares with. A LiveStore may add what it needs to tell versions apart. */
export interface StoredSession {
  /** What the store holds, as `store.get` gives it. The bridge only reads it. */
  readonly record: SessionData
  /**
   * When the store will forget the session, in ms since the epoch; `undefined` where it does not say. The record's own
   * `cookie.expires` may be older, because `touch` can move the one without the other.
   */
  readonly expiresAt: number | undefined
}

/** The result of a `replace`: what was written, or what is there instead. */
export type ReplaceResult = { readonly replaced: StoredSession } | { readonly changed: StoredSession } | 'gone'

/**
 * A session store that can say when a session may have changed, and write one without overwriting what it has not seen.
 *
 * Every method that returns a promise rejects when the store cannot be reached; none of them throws. An answer of another kind than
 * these (such as `null`) counts as a failure of the store.
 */
export interface LiveStore {
  /** Reads a session; `undefined` if there is none. Resolves to `held` itself where nothing changed. */
  get(sessionID: string, held?: StoredSession): Promise<StoredSession | undefined>
  /** Writes `next` only if the record is still `expected`; says what is there now. */
  replace(sessionID: string, expected: StoredSession, next: SessionData): Promise<ReplaceResult>
  /** Renews the expiry, as express-session does at the end of a request. */
  touch(sessionID: string): Promise<'touched' | 'gone'>
  /** Removes the session. */
  destroy(sessionID: string): Promise<void>
  /** From now on, changes of this session are reported. */
  watch(sessionID: string): void
  /** Changes of this session are no longer reported. */
  unwatch(sessionID: string): void
  /** Registers the one listener of changes. `undefined` instead of an ID: every watched session may have changed. */
  onChange(listener: (sessionID: string | undefined) => void): void
  /** Registers the one listener of errors outside any call, which become a `fault` of the bridge. */
  onFault?(listener: (error: Error) => void): void
  /** Ends what the LiveStore has opened; the store's own client stays open. */
  close(): Promise<void>
}

/** What became of a `touchHeld`. `touched` without a record: a report is still to come. */
export type TouchResult = { readonly touched: StoredSession } | 'touched' | 'gone'

/** What the bridge's own LiveStores can do in addition. */
export interface CallReportingLiveStore extends LiveStore {
  /** A `get` of a watched session that a `touchHeld` is to follow soon, which then need not read it again. */
  getToTouch?(sessionID: string, held?: StoredSession): Promise<StoredSession | undefined>
  /** A `touch` of a session that need not be read first. Says what the store holds now, so that it need not be read after it. */
  touchHeld?(sessionID: string, held: StoredSession): Promise<TouchResult>
  /**
   * Registers the one listener of the calls that this process makes to the store, of watched sessions and of all
   * (`sessionID` undefined): right after each call, and again with the same object at its answer. From then on such a call
   * is not told to the listener of `onChange` as well.
   *
   * A `set` by `replace` of this LiveStore is told only if it fails or is answered too late, since `replace` itself says
   * what it did. Its `touch` and `destroy` are told like those of other writers.
   *
   * @param watched who keeps the sessions that are watched and not forgotten yet: then the LiveStore need not keep them, too
   */
  onStoreCall?(listener: StoreCallListener, watched?: WatchedSessions): void
}

/** Session IDs, as a Map or a Set has them for its keys. */
export interface WatchedSessions {
  has(sessionID: string): boolean
  keys(): Iterable<string>
}
