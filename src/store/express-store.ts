/*
 * Any express-session Store as a LiveStore, by its own methods and by observing the calls that this process makes to it.
 */
import type { Session, SessionData, Store } from 'express-session'

import { systemClock, type Clock } from '../internal/clock.js'
import { ExclusiveWrites } from './exclusive-writes.js'
import { hydrateSession, sessionOf, touched, type ReadRecord } from './hydrate-session.js'
import type { CallReportingLiveStore, ReplaceResult, StoredSession, WatchedSessions } from './live-store.js'
import { NormalizedSession, snapshotOfStored, usableSnapshotOf } from './normalized-session.js'
import { PromisedStore } from './promised-store.js'
import type { SessionActivity } from './session-activity.js'
import { equalIgnoringExpires } from './session-equality.js'
import { snapshotOf, type SessionSnapshot } from './snapshot.js'
import { StoreActivity } from './store-activity.js'
import { observeStoreCalls, type StoreCall, type StoreCallListener } from './store-calls.js'
import { storeFieldsOf, withoutStoreFields } from './store-fields.js'

const defaultTimeoutMs = 5_000

/** How much later than a session's date a store that keeps whole seconds may let it end, and a little for the way there. */
const roundedUpByMs = 1_100

/**
 * `replace` and `touch` are exact where all writers are in this process: nothing unseen is overwritten and no session is
 * brought back, not even in a store whose calls overtake each other. Writers in other processes can come between its read
 * and its write, which is as near as a Store's methods come.
 */
export class ExpressStore implements CallReportingLiveStore {
  readonly #store: PromisedStore
  readonly #clock: Clock
  readonly #activity: StoreActivity
  readonly #writes: ExclusiveWrites
  readonly #undo: readonly (() => void)[]
  /** Fields of records that are not the session's. */
  readonly #storeFields: readonly string[]
  /** The `set` calls of `replace` that are within its time: `replace` itself says what became of them. */
  readonly #ownSets = new WeakSet<StoreCall>()
  /** Takes the call that is being made, where that is one of these. */
  #setting: StoreCall[] | undefined
  #onChange: (sessionID: string | undefined) => void = () => undefined
  #onStoreCall: StoreCallListener = ({ sessionID }) => {
    this.#onChange(sessionID)
  }

  /** @param timeoutMs how long a write may take, and how long a call may be in flight before nothing waits for it any longer */
  constructor(store: Store, timeoutMs = defaultTimeoutMs, clock = systemClock) {
    this.#store = new PromisedStore(store)
    this.#clock = clock
    this.#activity = new StoreActivity(timeoutMs, (call) => this.#ownSets.delete(call))
    this.#writes = new ExclusiveWrites(this.#store, this.#activity, timeoutMs)
    this.#storeFields = storeFieldsOf(store)
    this.#undo = [
      observeStoreCalls(store, this.#onCall),
      this.#store.connection.observe(() => {
        this.#onChange(undefined)
      }),
    ]
  }

  get(sessionID: string, held?: StoredSession): Promise<StoredSession | undefined> {
    return this.#store.get(sessionID, (record) => (record ? this.#stored(sessionID, record, held) : undefined))
  }

  getToTouch(sessionID: string, held?: StoredSession): Promise<StoredSession | undefined> {
    if (!this.#activity.isWatched(sessionID)) return this.get(sessionID, held)
    const activity = this.#activity.of(sessionID)
    const { writes } = activity
    return this.#store.get(sessionID, (record) => {
      const stored = record ? this.#stored(sessionID, record, held) : undefined
      // No other can be made a session of.
      if (record && stored instanceof NormalizedSession) this.#activity.keep(activity, record, writes)
      return stored
    })
  }

  async replace(sessionID: string, expected: StoredSession, next: SessionData): Promise<ReplaceResult> {
    const sets: StoreCall[] = []
    try {
      return await this.#writes.run(sessionID, async (record, activity) => {
        const read = this.#usable(record)
        if (read === undefined) return 'gone'
        if (!equalIgnoringExpires(read.snapshot, snapshotOfStored(expected)))
          return { changed: new NormalizedSession(read.snapshot, undefined) }
        const session = touched(hydrateSession(this.#store.store, sessionID, next, read))
        const write = (): Promise<void> => this.#set(sessionID, session, sets)
        if ((await this.#unlessDestroyed(sessionID, activity, write)) === 'gone') return 'gone'
        return { replaced: new NormalizedSession(this.#snapshotOf(session), undefined) }
      })
    } catch (error) {
      // The store may do it yet, and then only the answer to its call can tell of it.
      for (const set of sets) this.#ownSets.delete(set)
      throw error
    }
  }

  touch(sessionID: string): Promise<'touched' | 'gone'> {
    return this.#writes.run(sessionID, async (record, activity) => {
      if (!record || this.#usable(record) === undefined) return 'gone'
      return await this.#touchRecord(sessionID, record, activity)
    })
  }

  /** At once, where `getToTouch` has read the session and nothing else is being done to it. */
  touchHeld(sessionID: string): Promise<'touched' | 'gone'> {
    const activity = this.#activity.of(sessionID)
    const record = activity.takeKept()
    if (record === undefined) return this.touch(sessionID)
    return this.#touchRecord(sessionID, record, activity)
  }

  destroy(sessionID: string): Promise<void> {
    return this.#store.destroy(sessionID)
  }

  watch(sessionID: string): void {
    this.#activity.watch(sessionID)
  }

  unwatch(sessionID: string): void {
    this.#activity.unwatch(sessionID)
  }

  onChange(listener: (sessionID: string | undefined) => void): void {
    this.#onChange = listener
  }

  onStoreCall(listener: StoreCallListener, watched?: WatchedSessions): void {
    this.#onStoreCall = listener
    if (watched !== undefined) this.#activity.watchedAreIn(watched)
  }

  close(): Promise<void> {
    for (const undo of this.#undo) undo()
    this.#activity.dispose()
    this.#writes.close()
    return Promise.resolve()
  }

  #stored(sessionID: string, record: SessionData, held: StoredSession | undefined): StoredSession {
    const read = this.#usable(record)
    if (read === undefined) return { record, expiresAt: this.#expiryOf(sessionID) }
    if (held instanceof NormalizedSession) this.#compareDates(sessionID, held.snapshot, read.snapshot)
    const expiresAt = this.#expiryOf(sessionID)
    if (held instanceof NormalizedSession && held.isStill(read.snapshot, expiresAt)) return held
    return new NormalizedSession(read.snapshot, expiresAt)
  }

  #touchRecord(sessionID: string, record: SessionData, activity: SessionActivity): Promise<'touched' | 'gone'> {
    const session = touched(sessionOf(this.#store.store, sessionID, record))
    return this.#unlessDestroyed(sessionID, activity, () =>
      // Only a write renews a session in a store without `touch`.
      this.#store.hasTouch ? this.#store.touch(sessionID, session) : this.#set(sessionID, session, []),
    )
  }

  #usable(record: SessionData | null | undefined): ReadRecord | undefined {
    const snapshot = record ? usableSnapshotOf({ record: withoutStoreFields(record, this.#storeFields) }) : undefined
    return snapshot && record ? { record, snapshot } : undefined
  }

  #snapshotOf(session: SessionData): SessionSnapshot {
    return snapshotOf(withoutStoreFields(session, this.#storeFields))
  }

  /*
   * A record whose date has become another one than this process has given was written elsewhere: then that date counts, until this
   * process writes once more.
   */
  #compareDates(sessionID: string, before: SessionSnapshot, now: SessionSnapshot): void {
    const { expires } = now.cookie
    if (expires === before.cookie.expires) return
    this.#activity.dateFound(sessionID, expires === null ? Infinity : Date.parse(expires))
  }

  /*
   * The expiry that the store was given last. Some stores' `touch` moves only their own expiry and leaves the record's date
   * behind. Stores that count in whole seconds let it end up to a second later: until then it is still not over.
   */
  #expiryOf(sessionID: string): number | undefined {
    const expiresAt = this.#activity.expiryOf(sessionID)
    if (expiresAt === undefined) return undefined
    const now = this.#clock.now()
    if (expiresAt > now) return expiresAt
    return expiresAt + roundedUpByMs > now ? expiresAt + roundedUpByMs : undefined
  }

  /* Which of two calls the store has done first is unknown: a destroy that came meanwhile is done again. */
  async #unlessDestroyed(
    sessionID: string,
    activity: SessionActivity,
    write: () => Promise<void>,
  ): Promise<'touched' | 'gone'> {
    const { destroys } = activity
    await write()
    if (activity.destroys === destroys) return 'touched'
    await this.destroy(sessionID)
    return 'gone'
  }

  /* Marks its own call: a store is called at once, and its observer tells of the call before it returns. */
  #set(sessionID: string, session: Session & SessionData, calls: StoreCall[]): Promise<void> {
    this.#setting = calls
    try {
      return this.#store.set(sessionID, session)
    } finally {
      this.#setting = undefined
    }
  }

  readonly #onCall = (call: StoreCall): void => {
    if (this.#setting !== undefined) {
      this.#ownSets.add(call)
      this.#setting.push(call)
    }
    this.#activity.note(call)
    const { sessionID } = call
    if (sessionID !== undefined && !this.#activity.isWatched(sessionID)) return
    if (!this.#ownSets.has(call) || call.hasFailed) this.#onStoreCall(call)
  }
}
