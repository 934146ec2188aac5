/*
 * Any express-session Store as a LiveStore: by its own methods, and by hearing the calls that this process makes to it.
 */
import type { SessionData, Store } from 'express-session'

import { systemClock, type Clock } from '../internal/clock.js'
import { StoreUnavailableError } from '../errors.js'
import { NormalizedSession, snapshotOfStored, usableSnapshotOf } from './normalized-session.js'
import { TimeoutQueue } from '../internal/timeout-queue.js'
import { Heard, type InFlightCall } from './in-flight-writes.js'
import { inflate } from './hydrate-session.js'
import type { CallReportingLiveStore, ReplaceResult, StoredSession } from './live-store.js'
import { equalIgnoringExpires } from './session-equality.js'
import { settleOnce, type StoreCallback } from './settle-once.js'
import { snapshotOf } from './snapshot.js'
import { observeStoreCalls, type StoreCall, type StoreCallListener } from './store-calls.js'

const defaultTimeoutMs = 5_000

/**
 * `replace` is exact where all writers are in this process, since it hears them: nothing it has not seen is overwritten, and
 * no session is brought back, not even in a store whose calls overtake each other. Writers in other processes can come
 * between its read and its write, which is as near as a Store's methods come.
 */
export class ExpressStore implements CallReportingLiveStore {
  readonly #store: Store
  readonly #clock: Clock
  readonly #underWay: TimeoutQueue<InFlightCall>
  readonly #stopHearing: () => void
  readonly #watched = new Set<string>()
  /** What this process has heard of the sessions that are watched or being written, if it has heard of them at all. */
  readonly #heard = new Map<string, Heard>()
  #onChange: (sessionID: string | undefined) => void = () => undefined
  #onStoreCall: StoreCallListener = ({ sessionID }) => {
    this.#onChange(sessionID)
  }
  #connected = true
  /** The `set` calls of `replace` that are within their time: it says itself what becomes of them. */
  readonly #replacing = new WeakSet<StoreCall>()
  #isReplacing = false

  /** @param timeoutMs how long a call may be under way before it counts as lost, and holds up nothing any more */
  constructor(store: Store, timeoutMs = defaultTimeoutMs, clock = systemClock) {
    this.#store = store
    this.#clock = clock
    this.#underWay = new TimeoutQueue(timeoutMs, ({ call, sessionID, heard }) => {
      this.#replacing.delete(call)
      heard.over(call)
      this.#forgetIfIdle(sessionID, heard)
    })
    this.#stopHearing = observeStoreCalls(store, this.#onCall)
    // The two events by which express-session itself knows (index.js, `storeReady`).
    store.on('disconnect', this.#onDisconnect)
    store.on('connect', this.#onConnect)
  }

  get(sessionID: string, held?: StoredSession): Promise<StoredSession | undefined> {
    return this.#read(sessionID, (record) => (record ? this.#stored(sessionID, record, held) : undefined))
  }

  #stored(sessionID: string, record: SessionData, held: StoredSession | undefined): StoredSession {
    const expiresAt = this.#expiryHeardOf(sessionID)
    const snapshot = usableSnapshotOf({ record })
    if (snapshot === undefined) return { record, expiresAt }
    if (held instanceof NormalizedSession && held.isStill(snapshot, expiresAt)) return held
    return new NormalizedSession(snapshot, expiresAt)
  }

  async replace(sessionID: string, expected: StoredSession, next: SessionData): Promise<ReplaceResult> {
    return await this.#unwritten(sessionID, async (record, heard) => {
      const snapshot = record ? usableSnapshotOf({ record }) : undefined
      if (snapshot === undefined) return 'gone'
      if (!equalIgnoringExpires(snapshot, snapshotOfStored(expected)))
        return { changed: new NormalizedSession(snapshot, undefined) }
      const session = inflate(this.#store, sessionID, next).touch()
      const { destroys } = heard
      await this.#set(sessionID, session)
      // Somebody signed out meanwhile, and nobody knows which of the two calls the store has done first.
      if (heard.destroys !== destroys) {
        await this.destroy(sessionID)
        return 'gone'
      }
      return { replaced: new NormalizedSession(snapshotOf(session), undefined) }
    })
  }

  async touch(sessionID: string): Promise<'touched' | 'gone'> {
    return await this.#unwritten(sessionID, async (record) => {
      const snapshot = record ? usableSnapshotOf({ record }) : undefined
      if (snapshot === undefined) return 'gone'
      // express-session leaves a store without `touch` alone.
      if (typeof this.#store.touch !== 'function') return 'touched'
      const session = inflate(this.#store, sessionID, snapshot).touch()
      await this.#call((callback) => this.#store.touch?.(sessionID, session, callback), nothing)
      return 'touched'
    })
  }

  async destroy(sessionID: string): Promise<void> {
    await this.#call((callback) => this.#store.destroy(sessionID, callback), nothing)
  }

  watch(sessionID: string): void {
    this.#watched.add(sessionID)
  }

  unwatch(sessionID: string): void {
    this.#watched.delete(sessionID)
    const heard = this.#heard.get(sessionID)
    if (heard !== undefined) this.#forgetIfIdle(sessionID, heard)
  }

  onChange(listener: (sessionID: string | undefined) => void): void {
    this.#onChange = listener
  }

  onStoreCall(listener: StoreCallListener): void {
    this.#onStoreCall = listener
  }

  close(): Promise<void> {
    this.#stopHearing()
    this.#underWay.dispose()
    this.#store.off('disconnect', this.#onDisconnect)
    this.#store.off('connect', this.#onConnect)
    return Promise.resolve()
  }

  /*
   * Reads when no write of this process is under way, until none came while the answer was on its way; then goes on without
   * a pause in between.
   */
  async #unwritten<T>(
    sessionID: string,
    next: (record: SessionData | null | undefined, heard: Heard) => Promise<T>,
  ): Promise<T> {
    const heard = this.#hear(sessionID)
    heard.writing += 1
    try {
      for (;;) {
        await heard.quiet()
        const { calls } = heard
        const record = await this.#read(sessionID, asItIs)
        if (heard.calls === calls) return await next(record, heard)
      }
    } finally {
      heard.writing -= 1
      this.#forgetIfIdle(sessionID, heard)
    }
  }

  /* What is made of the record is made at once: a promise less for each handshake. */
  #read<R>(sessionID: string, of: (record: SessionData | null | undefined) => R): Promise<R> {
    return this.#call<SessionData | null, R>(
      (callback) =>
        this.#store.get(sessionID, (error: unknown, record) => {
          if (isNoSuchFile(error)) callback()
          else callback(error, record)
        }),
      of,
    )
  }

  #call<T, R>(start: (callback: StoreCallback<T>) => unknown, of: (value: T | undefined) => R): Promise<R> {
    if (!this.#connected) return Promise.reject(new StoreUnavailableError('The session store is disconnected.'))
    return settleOnce(start, of)
  }

  /* Recognizes its own call: a store is called at once, and tells of it before it returns. */
  #set(sessionID: string, session: SessionData): Promise<void> {
    this.#isReplacing = true
    try {
      return this.#call((callback) => this.#store.set(sessionID, session, callback), nothing)
    } finally {
      this.#isReplacing = false
    }
  }

  #tellsItself(call: StoreCall): boolean {
    return this.#replacing.has(call) && !call.hasFailed
  }

  #hear(sessionID: string): Heard {
    const heard = this.#heard.get(sessionID) ?? new Heard()
    this.#heard.set(sessionID, heard)
    return heard
  }

  #forgetIfIdle(sessionID: string, heard: Heard): void {
    if (!this.#watched.has(sessionID) && heard.writing === 0 && heard.isQuiet) this.#heard.delete(sessionID)
  }

  /* Some stores' `touch` moves only their own expiry and leaves the record's date behind; what was given to it is newer. */
  #expiryHeardOf(sessionID: string): number | undefined {
    const expiresAt = this.#heard.get(sessionID)?.expiresAt
    return expiresAt !== undefined && expiresAt > this.#clock.now() ? expiresAt : undefined
  }

  readonly #onCall = (call: StoreCall): void => {
    const { sessionID } = call
    if (sessionID === undefined) {
      // It may be carried out at any time until it is answered: no write of these is to come between.
      for (const id of this.#watched) this.#hear(id)
      for (const [id, heard] of this.#heard) this.#note(call, id, heard)
      this.#onStoreCall(call)
      return
    }
    const heard = this.#hear(sessionID)
    this.#note(call, sessionID, heard)
    if (this.#isReplacing) this.#replacing.add(call)
    if (this.#watched.has(sessionID) && !this.#tellsItself(call)) this.#onStoreCall(call)
    this.#forgetIfIdle(sessionID, heard)
  }

  #note(call: StoreCall, sessionID: string, heard: Heard): void {
    heard.note(call)
    // A touch changes nothing that a write could overwrite.
    if (call.method === 'touch') return
    if (call.isAnswered) {
      const underWay = heard.over(call)
      if (underWay !== undefined) this.#underWay.remove(underWay)
    } else if (!heard.isUnderWay(call)) {
      this.#underWay.add(heard.begin(call, sessionID))
    }
  }

  readonly #onDisconnect = (): void => {
    this.#connected = false
  }

  readonly #onConnect = (): void => {
    this.#connected = true
    this.#onChange(undefined)
  }
}

function asItIs<T>(value: T): T {
  return value
}

function nothing(): void {
  // What a store answers to a write says nothing.
}

/* Stores that keep files answer ENOENT for an unknown ID, and express-session takes that for no session. */
function isNoSuchFile(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT'
}
