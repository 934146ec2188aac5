/*
 * Reading and writing sessions by ID: for contexts, for `request.session`, for jobs.
 */
import { SessionEndedError, StoreUnavailableError } from '../errors.js'
import type { Clock } from '../internal/clock.js'
import type { StoredSession } from '../store/live-store.js'
import { snapshotOfStored } from '../store/normalized-session.js'
import type { SessionSnapshot } from '../store/snapshot.js'
import { trace } from '../trace.js'
import type { EventSink } from './event-sink.js'
import { expiryOf, LiveSession } from './live-session.js'
import { asStored } from './live-store-answers.js'
import type { Mutate, OptimisticWriter } from './optimistic-writer.js'
import type { OwnDestroys } from './own-destroys.js'
import type { Registry } from './registry.js'
import { isOver, type Revalidator } from './revalidator.js'
import type { Context, FoundSession, Loaded, SessionActions } from './session-context.js'
import type { TimedStore } from './timed-store.js'
import type { Users } from './users.js'

/** What the operations work with. */
export interface SessionOperationsDependencies {
  readonly store: TimedStore
  readonly writer: OptimisticWriter
  readonly registry: Registry
  readonly revalidator: Revalidator
  readonly ownDestroys: OwnDestroys
  readonly reports: EventSink
  readonly clock: Clock
  readonly users: Users
}

/** All of them reject with {@link StoreUnavailableError} when the store fails, and once the bridge is closed. */
export class SessionOperations implements SessionActions {
  readonly #deps: SessionOperationsDependencies
  /** Reads and touches whose callers wait. */
  readonly #underWay = new Set<Promise<unknown>>()
  #closed = false

  constructor(dependencies: SessionOperationsDependencies) {
    this.#deps = dependencies
  }

  /**
   * Reads a session for a handshake that does not watch it.
   *
   * @throws (or rejects with) what the store fails with.
   */
  findForHandshake(sessionID: string): Promise<Loaded> {
    const { store, ownDestroys } = this.#deps
    return this.#find(sessionID, store.getForHandshake(sessionID), ownDestroys.removals)
  }

  async load(sessionID: string): Promise<Loaded> {
    this.#assertOpen()
    return await this.#tracked(this.#load(sessionID))
  }

  async #load(sessionID: string): Promise<Loaded> {
    const { store, registry, revalidator, ownDestroys } = this.#deps
    const { removals } = ownDestroys
    const live = registry.get(sessionID)
    if (live !== undefined) return await revalidator.load(live, removals)
    return await this.#find(sessionID, store.get(sessionID), removals)
  }

  /** @throws {SessionEndedError} (rejects) if it is gone. */
  async write(sessionID: string, mutate: Mutate): Promise<StoredSession> {
    this.#assertOpen()
    const { registry, revalidator, writer } = this.#deps
    const before = registry.get(sessionID)
    const readsBegun = before?.readsBegun
    try {
      const stored = await writer.update(sessionID, mutate, () => registry.get(sessionID)?.stored)
      trace?.session(sessionID, stored === 'gone' ? 'not written: it is gone' : 'written')
      const live = registry.get(sessionID)
      if (live !== undefined && stored !== 'gone')
        revalidator.written(live, stored, live === before ? readsBegun : undefined)
      if (stored !== 'gone') return stored
    } catch (error) {
      // A write that failed may have been done all the same.
      if (error instanceof StoreUnavailableError) revalidator.report(sessionID)
      throw error
    }
    this.#gone(sessionID)
    throw new SessionEndedError()
  }

  /** @throws {SessionEndedError} (rejects) if it is gone. */
  async touchByID(sessionID: string): Promise<void> {
    this.#assertOpen()
    const { store, registry, revalidator } = this.#deps
    const before = registry.get(sessionID)
    const readsBegun = before?.readsBegun
    const result = await this.#tracked(store.touch(sessionID, before?.stored))
    if (result === 'touched') return
    if (result !== 'gone') {
      const live = registry.get(sessionID)
      if (live !== undefined) revalidator.written(live, result.touched, live === before ? readsBegun : undefined)
      return
    }
    this.#gone(sessionID)
    throw new SessionEndedError()
  }

  /** Resolves when the session is gone and its connections in this process have ended. */
  async destroyByID(sessionID: string): Promise<void> {
    this.#assertOpen()
    const { ownDestroys, writer } = this.#deps
    const pending = ownDestroys.called(sessionID)
    try {
      await writer.destroy(sessionID)
    } catch (error) {
      ownDestroys.failed(pending)
      throw error
    }
    ownDestroys.succeeded(pending)
  }

  async refresh(context: Context): Promise<SessionSnapshot> {
    assertUsable(context)
    const loaded = await this.load(context.sessionID)
    if (typeof loaded === 'string') throw new SessionEndedError()
    this.#keepUp(context, loaded.stored, loaded.snapshot)
    return loaded.snapshot
  }

  async update(context: Context, mutate: Mutate): Promise<SessionSnapshot> {
    assertUsable(context)
    const stored = await this.write(context.sessionID, mutate)
    const snapshot = snapshotOfStored(stored)
    this.#keepUp(context, stored, snapshot)
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

  /** By the bridge's clock, in ms since the epoch. */
  get now(): number {
    return this.#deps.clock.now()
  }

  /** Whether the expiry of a session has passed since a read that found it began, at `begunAt`. */
  hasExpiredSince(begunAt: number, { stored, snapshot }: FoundSession): boolean {
    const expiresAt = expiryOf(stored, snapshot)
    // A record's date that had passed before says nothing: the store has found the session in spite of it.
    return expiresAt <= this.now && (expiresAt > begunAt || stored?.expiresAt !== undefined)
  }

  /** Nothing works any longer once what has begun is done. */
  async close(): Promise<void> {
    await this.#done()
    this.#closed = true
    // Some have begun while the others were waited for. No more do now, or a caller that never stops would hold up the end.
    await this.#done()
  }

  async #done(): Promise<void> {
    await this.#deps.writer.idle()
    // Not for checks: one that hangs would hold up the end, and no caller waits for its answer.
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
    if (live !== undefined) this.#deps.revalidator.gone(live)
  }

  /* What a read of a session found that has no connections here. */
  async #find(sessionID: string, answer: Promise<StoredSession | undefined>, removals: number): Promise<Loaded> {
    const begunAt = this.now
    const stored = asStored(await answer)
    if (stored === undefined) return 'no-session'
    if (isOver(stored, begunAt, this.#deps.clock)) return 'session-expired'
    try {
      const snapshot = snapshotOfStored(stored)
      return { sessionID, stored, snapshot, user: this.#deps.users.of(snapshot), removals }
    } catch (error) {
      this.#deps.reports.fault('record', error)
      return 'no-session'
    }
  }

  /* A context without a live session shows what was read by itself. */
  #keepUp(context: Context, stored: StoredSession | undefined, snapshot: SessionSnapshot): void {
    if (context.source instanceof LiveSession || context.ended !== undefined) return
    context.found(stored, snapshot, this.#deps.users.of(snapshot))
  }

  #assertOpen(): void {
    if (this.#closed) throw new StoreUnavailableError('The bridge is closed.')
  }
}

function assertUsable({ ended }: Context): void {
  if (ended?.reason === 'destroyed' || ended?.reason === 'expired') throw new SessionEndedError()
}
