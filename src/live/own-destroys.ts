/*
 * Logouts of this process: calls of `destroy` and `clear`, by HTTP requests, jobs and the bridge itself.
 *
 * From the call on, no message of the session reaches a handler. An answer without an error is the end of the session, at once:
 * nothing is read for that. After an error, or without an answer, the store is read.
 */
import type { Clock } from '../internal/clock.js'
import { TimeoutQueue, type TimeoutNode } from '../internal/timeout-queue.js'
import type { StoreCall } from '../store/store-calls.js'
import { trace } from '../trace.js'
import type { LiveSession } from './live-session.js'
import type { OptimisticWriter } from './optimistic-writer.js'
import type { Registry } from './registry.js'
import type { Revalidator } from './revalidator.js'
import type { SessionHolds } from './session-holds.js'

/** How long a removal is remembered, in ms: for contexts of `authenticate()` that are not bound yet. */
const rememberedMs = 60_000

/** What these work with. */
export interface OwnDestroysDependencies {
  readonly registry: Registry
  readonly holds: SessionHolds
  readonly revalidator: Revalidator
  readonly writer: OptimisticWriter
  readonly clock: Clock
  /** How long a call may take before the store is read in place of its answer, in ms. */
  readonly timeoutMs: number
}

/** Keeps the calls that are under way, and the sessions that were removed lately. */
export class OwnDestroys {
  readonly #deps: OwnDestroysDependencies
  readonly #deadlines: TimeoutQueue<PendingDestroy>
  readonly #pending = new Map<string, Set<PendingDestroy>>()
  readonly #calls = new Map<StoreCall, PendingDestroy>()
  /** By session ID, the oldest first. */
  readonly #removed = new Map<string, { readonly number: number; readonly at: number }>()
  #removals = 0

  constructor(dependencies: OwnDestroysDependencies) {
    this.#deps = dependencies
    this.#deadlines = new TimeoutQueue(dependencies.timeoutMs, (pending) => {
      if (pending.call !== undefined) this.#calls.delete(pending.call)
      this.failed(pending)
    })
  }

  /** How many sessions this process has removed. */
  get removals(): number {
    return this.#removals
  }

  /** Whether this process has removed the session since there were so many removals, a minute ago at most. */
  wasRemovedSince(sessionID: string, removals: number): boolean {
    // Which costs every handshake less than to look it up.
    if (this.#removals === removals) return false
    const removed = this.#removed.get(sessionID)
    return removed !== undefined && removed.number > removals
  }

  isUnderWay(sessionID: string): boolean {
    return this.#pending.has(sessionID)
  }

  /** Resolves when no call for this session is under way; undefined if there is none. */
  settled(sessionID: string): Promise<void> | undefined {
    const pending = this.#pending.get(sessionID)
    return pending && this.#settled(sessionID, pending)
  }

  /** To be called for each call of the store's `destroy` or `clear`, and again with the same object at its answer. */
  observe(call: StoreCall): void {
    const pending = this.#calls.get(call)
    if (pending !== undefined) {
      this.#calls.delete(call)
      if (call.isDone && call.sessionID !== undefined) this.succeeded(pending)
      else this.failed(pending)
    } else if (call.isDone && call.sessionID !== undefined) {
      // The answer came before the call returned.
      this.succeeded(this.#begin(call.sessionID))
    } else if (call.isAnswered) {
      // It had no callback, or threw: whether it was done, only the store can say.
      for (const live of this.#sessionsOf(call.sessionID)) this.#read(live)
    } else {
      this.#calls.set(call, this.#begin(call.sessionID, call))
    }
  }

  /** A call of the bridge's own, which is told by `succeeded` or `failed`. */
  called(sessionID: string): PendingDestroy {
    return this.#begin(sessionID)
  }

  /** It is answered, without an error: the session is over. */
  succeeded(pending: PendingDestroy): void {
    const { registry, revalidator, writer } = this.#deps
    const { sessionID } = pending
    this.#settle(pending)
    if (sessionID === undefined) return
    this.#remember(sessionID)
    writer.end(sessionID)
    const live = registry.get(sessionID)
    if (live === undefined) return
    trace?.session(sessionID, 'destroyed')
    revalidator.gone(live)
  }

  /** Whether it was done is unknown. */
  failed(pending: PendingDestroy): void {
    for (const live of this.#settle(pending)) this.#read(live)
  }

  /** A session has connections or handshakes again: calls that are under way concern it, too. */
  entered(live: LiveSession): void {
    if (this.#pending.size === 0) return
    for (const pending of this.#pending.get(live.sessionID) ?? []) this.#concern(pending, live)
  }

  dispose(): void {
    this.#deadlines.dispose()
  }

  async #settled(sessionID: string, pending: Set<PendingDestroy> | undefined): Promise<void> {
    while (pending !== undefined) {
      await Promise.all([...pending].map((call) => call.settled()))
      pending = this.#pending.get(sessionID)
    }
  }

  #begin(sessionID: string | undefined, call?: StoreCall): PendingDestroy {
    const pending = new PendingDestroy(sessionID, call)
    this.#deadlines.add(pending)
    if (sessionID !== undefined) {
      const others = this.#pending.get(sessionID) ?? new Set()
      this.#pending.set(sessionID, others.add(pending))
    }
    for (const live of this.#sessionsOf(sessionID)) this.#concern(pending, live)
    return pending
  }

  #concern(pending: PendingDestroy, live: LiveSession): void {
    pending.sessions.add(live)
    live.outdate()
    this.#deps.holds.destroyCalled(live)
  }

  /* Returns the sessions that are still in doubt by it. */
  #settle(pending: PendingDestroy): LiveSession[] {
    const { sessionID } = pending
    this.#deadlines.remove(pending)
    if (sessionID !== undefined) {
      const others = this.#pending.get(sessionID)
      others?.delete(pending)
      if (others?.size === 0) this.#pending.delete(sessionID)
    }
    const sessions = [...pending.sessions]
    pending.settle()
    for (const live of sessions) live.doubt?.destroyAnswered()
    return sessions
  }

  #read(live: LiveSession): void {
    live.outdate()
    this.#deps.holds.needsRead(live)
    this.#deps.revalidator.check(live)
  }

  #sessionsOf(sessionID: string | undefined): readonly LiveSession[] {
    const { registry } = this.#deps
    if (sessionID === undefined) return registry.sessions()
    const live = registry.get(sessionID)
    return live === undefined ? [] : [live]
  }

  #remember(sessionID: string): void {
    const now = this.#deps.clock.elapsed()
    this.#removals += 1
    this.#removed.delete(sessionID)
    this.#removed.set(sessionID, { number: this.#removals, at: now })
    for (const [oldest, { at }] of this.#removed) {
      if (now - at < rememberedMs) return
      this.#removed.delete(oldest)
    }
  }
}

/** One call that is under way. */
export class PendingDestroy implements TimeoutNode {
  previous: TimeoutNode | undefined = undefined
  next: TimeoutNode | undefined = undefined
  dueAt = 0
  /** Undefined: all sessions. */
  readonly sessionID: string | undefined
  /** Undefined: a call of the bridge's own. */
  readonly call: StoreCall | undefined
  /** Sessions whose messages are held for it. */
  readonly sessions = new Set<LiveSession>()
  readonly #onSettled: (() => void)[] = []

  constructor(sessionID: string | undefined, call: StoreCall | undefined) {
    this.sessionID = sessionID
    this.call = call
  }

  settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#onSettled.push(resolve)
    })
  }

  settle(): void {
    this.sessions.clear()
    for (const resolve of this.#onSettled.splice(0)) resolve()
  }
}
