/*
 * Reading and writing sessions by ID: for contexts, for `request.session`, for jobs.
 */
import type { Clock } from '../internal/clock.js'
import { SessionEndedError, StoreUnavailableError } from '../errors.js'
import { snapshotOfStored } from '../store/normalized-session.js'
import type { StoredSession } from '../store/live-store.js'
import type { SessionSnapshot } from '../store/snapshot.js'
import { trace } from '../trace.js'
import { isOver, type Revalidator } from './revalidator.js'
import type { Context, FoundSession, SessionActions, SessionSource } from './session-context.js'
import { LiveSession } from './live-session.js'
import type { Registry } from './registry.js'
import type { EventSink } from './event-sink.js'
import type { TimedStore } from './timed-store.js'
import { OptimisticWriter, type Mutate } from './optimistic-writer.js'

/** What a load found. */
export type Loaded = FoundSession | 'no-session' | 'session-expired'

/** What the operations work with. */
export interface SessionOperationsDependencies {
  readonly store: TimedStore
  readonly registry: Registry
  readonly checks: Revalidator
  readonly reports: EventSink
  readonly clock: Clock
}

/** All of them reject with {@link StoreUnavailableError} when the store fails, and once the bridge is closed. */
export class SessionOperations implements SessionActions {
  readonly #deps: SessionOperationsDependencies
  readonly #writer: OptimisticWriter
  /** Reads and touches that somebody waits for. */
  readonly #underWay = new Set<Promise<unknown>>()
  #closed = false

  constructor(parts: SessionOperationsDependencies) {
    this.#deps = parts
    this.#writer = new OptimisticWriter(parts.store)
  }

  /** What a read that begins now is given as its time, in ms since the epoch. */
  get now(): number {
    return this.#deps.clock.now()
  }

  /**
   * Reads a session for a handshake; with `live`, for all of its connections, too.
   *
   * @throws (or rejects with) what the store fails with.
   */
  readForHandshake(sessionID: string, live: LiveSession | undefined): Promise<StoredSession | undefined> {
    const { store, checks } = this.#deps
    return live === undefined ? store.getForHandshake(sessionID) : checks.readForHandshake(live)
  }

  async load(sessionID: string): Promise<Loaded> {
    this.#assertOpen()
    return await this.#tracked(this.#load(sessionID))
  }

  async #load(sessionID: string): Promise<Loaded> {
    const { store, registry, checks } = this.#deps
    const live = registry.get(sessionID)
    const begunAt = this.now
    return live === undefined
      ? this.loaded(sessionID, await store.get(sessionID), begunAt)
      : this.loaded(sessionID, await checks.read(live), begunAt, live)
  }

  /** @throws {SessionEndedError} (rejects) if it is gone. */
  async write(sessionID: string, mutate: Mutate): Promise<StoredSession> {
    this.#assertOpen()
    const { registry, checks } = this.#deps
    const before = registry.get(sessionID)
    const readsBegun = before?.readsBegun
    try {
      const stored = await this.#writer.update(sessionID, mutate, () => registry.get(sessionID)?.stored)
      trace?.session(sessionID, stored === 'gone' ? 'not written: it is gone' : 'written')
      const live = registry.get(sessionID)
      if (live !== undefined && stored !== 'gone')
        checks.written(live, stored, live === before ? readsBegun : undefined)
      if (stored !== 'gone') return stored
    } catch (error) {
      // A write that failed may have been done all the same.
      if (error instanceof StoreUnavailableError) checks.report(sessionID)
      throw error
    }
    this.#gone(sessionID)
    throw new SessionEndedError()
  }

  /** @throws {SessionEndedError} (rejects) if it is gone. */
  async touchByID(sessionID: string): Promise<void> {
    this.#assertOpen()
    const { store, registry, checks } = this.#deps
    const before = registry.get(sessionID)
    const readsBegun = before?.readsBegun
    const result = await this.#tracked(store.touch(sessionID, before?.stored))
    if (result === 'touched') return
    if (result !== 'gone') {
      const live = registry.get(sessionID)
      if (live !== undefined) checks.written(live, result.touched, live === before ? readsBegun : undefined)
      return
    }
    this.#gone(sessionID)
    throw new SessionEndedError()
  }

  /** Resolves when the session is gone and its connections in this process have ended. */
  async destroyByID(sessionID: string): Promise<void> {
    this.#assertOpen()
    // In its turn among the writes: a store whose calls overtake each other would let one of them bring it back.
    await this.#writer.inTurn(sessionID, () => this.#deps.store.destroy(sessionID))
    trace?.session(sessionID, 'destroyed')
    this.#gone(sessionID)
  }

  async refresh(context: Context): Promise<SessionSnapshot> {
    assertUsable(context)
    const loaded = await this.load(context.sessionID)
    if (typeof loaded === 'string') throw new SessionEndedError()
    keepUp(context, loaded.stored, loaded.snapshot)
    return loaded.snapshot
  }

  async update(context: Context, mutate: Mutate): Promise<SessionSnapshot> {
    assertUsable(context)
    const stored = await this.write(context.sessionID, mutate)
    const snapshot = snapshotOfStored(stored)
    keepUp(context, stored, snapshot)
    return snapshot
  }

  async touch(context: Context): Promise<void> {
    assertUsable(context)
    await this.touchByID(context.sessionID)
  }

  async destroy(context: Context): Promise<void> {
    assertUsable(context)
    await this.destroyByID(context.sessionID)
  }

  listenerRejected(error: unknown): void {
    this.#deps.reports.fault('event-listener', error)
  }

  /** Nothing works any more once what has begun is done. */
  async close(): Promise<void> {
    await this.#done()
    this.#closed = true
    // Some have begun while the others were waited for. No more do now, or somebody who never stops would hold up the end.
    await this.#done()
  }

  async #done(): Promise<void> {
    await this.#writer.idle()
    // Not for checks: one that hangs would hold up the end, and nobody waits for its answer.
    await Promise.allSettled(this.#underWay)
  }

  async #tracked<T>(work: Promise<T>): Promise<T> {
    this.#underWay.add(work)
    try {
      return await work
    } finally {
      this.#underWay.delete(work)
    }
  }

  /* What was done to the store by ID has shown that the session is gone. */
  #gone(sessionID: string): void {
    const live = this.#deps.registry.get(sessionID)
    if (live !== undefined) this.#deps.checks.gone(live)
  }

  /** What a read found that began at that time; with `live`, as it is for all of its connections. */
  loaded(sessionID: string, stored: StoredSession | undefined, begunAt: number, live?: LiveSession): Loaded {
    if (stored === undefined) return 'no-session'
    if (isOver(stored, begunAt, this.#deps.clock)) return 'session-expired'
    const snapshot = live === undefined ? this.#snapshotOf(stored) : live.snapshot
    return snapshot === undefined ? 'no-session' : { sessionID, stored, snapshot }
  }

  /** Whether it has expired by now, as far as the store knew. */
  isOver({ stored }: SessionSource): boolean {
    return stored !== undefined && isOver(stored, this.now, this.#deps.clock)
  }

  #snapshotOf(stored: StoredSession): SessionSnapshot | undefined {
    try {
      return snapshotOfStored(stored)
    } catch (error) {
      this.#deps.reports.fault('record', error)
      return undefined
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw new StoreUnavailableError('The bridge is closed.')
  }
}

function assertUsable({ ended }: Context): void {
  if (ended?.reason === 'destroyed' || ended?.reason === 'expired') throw new SessionEndedError()
}

/* A context without a live session shows what was read by itself. */
function keepUp(context: Context, stored: StoredSession | undefined, snapshot: SessionSnapshot): void {
  if (!(context.source instanceof LiveSession) && context.ended === undefined) context.found(stored, snapshot)
}
