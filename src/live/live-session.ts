/*
 * One session that has connections in this process, however many.
 */
import type { Due } from '../internal/timer-heap.js'
import type { StoredSession } from '../store/live-store.js'
import type { SessionSnapshot } from '../store/snapshot.js'
import type { Announcement } from './announcement.js'
import type { CheckFailure } from './check-failure.js'
import type { Doubt } from './doubt.js'
import type { Reauthorization } from './reauthorization.js'
import type { Context } from './session-context.js'
import { SessionChecks } from './session-state.js'

/** Some stores keep time in whole seconds: by so much they may be late. */
export const wholeSecondMs = 1_000

/** When a session will be over: by its store, else by the date in its record. Infinity: never. */
export function expiryOf(stored: StoredSession | undefined, snapshot: SessionSnapshot | undefined): number {
  if (stored?.expiresAt !== undefined) return stored.expiresAt
  const expires = snapshot?.cookie.expires
  return expires === null || expires === undefined ? Infinity : Date.parse(expires)
}

/** What an idle session has none of. */
class PassingState {
  failure: CheckFailure | undefined = undefined
  doubt: Doubt | undefined = undefined
  reauthorization: Reauthorization | undefined = undefined
  announcement: Announcement | undefined = undefined
  closedWhileHeld: Set<Context> | undefined = undefined
  expiryUnreliable: true | undefined = undefined
}

/**
 * The shared state of a session's connections. What an idle session does not need is made when it is needed: each byte here
 * counts a hundred thousand times.
 */
export class LiveSession extends SessionChecks implements Due {
  readonly sessionID: string
  dueAt = 0
  heapIndex = -1

  /** What the store gave last, and the same as handlers see it; undefined until the first load. */
  stored: StoredSession | undefined = undefined
  snapshot: SessionSnapshot | undefined = undefined
  /** Whose session it is, by the snapshot. Only Users writes it. */
  user: string | undefined = undefined
  /** Leases of handshakes under way, and of connections that closed with messages held back: they need the reports, too. */
  leases = 0
  /** In which round of the revalidation it was checked. */
  sweptInRound = 0
  /** When the bridge last put off the expiry, by `clock.elapsed()`; undefined: never. Only KeepAlive writes it. */
  touchedAt: number | undefined = undefined
  /** When `authorize` is asked again although nothing has changed, by `clock.elapsed()`; undefined: never. Only ReauthorizeTimes writes it. */
  reauthorizeAt: number | undefined = undefined

  #passing: PassingState | undefined = undefined
  /** Most sessions have one connection, and an array for it would be 56 bytes. */
  #contexts: Context | Context[] | undefined = undefined

  constructor(sessionID: string) {
    super()
    this.sessionID = sessionID
  }

  get failure(): CheckFailure | undefined {
    return this.#passing?.failure
  }

  set failure(value: CheckFailure | undefined) {
    LiveSession.#setPassing(this, 'failure', value)
  }

  get doubt(): Doubt | undefined {
    return this.#passing?.doubt
  }

  set doubt(value: Doubt | undefined) {
    LiveSession.#setPassing(this, 'doubt', value)
  }

  get reauthorization(): Reauthorization | undefined {
    return this.#passing?.reauthorization
  }

  set reauthorization(value: Reauthorization | undefined) {
    LiveSession.#setPassing(this, 'reauthorization', value)
  }

  get announcement(): Announcement | undefined {
    return this.#passing?.announcement
  }

  set announcement(value: Announcement | undefined) {
    LiveSession.#setPassing(this, 'announcement', value)
  }

  /** Connections that closed while their messages were held back. */
  get closedWhileHeld(): Set<Context> | undefined {
    return this.#passing?.closedWhileHeld
  }

  set closedWhileHeld(value: Set<Context> | undefined) {
    LiveSession.#setPassing(this, 'closedWhileHeld', value)
  }

  /** The session was still there when it should have been over for long: the date that is known of it says nothing. */
  get expiryUnreliable(): boolean {
    return this.#passing?.expiryUnreliable === true
  }

  set expiryUnreliable(value: boolean) {
    LiveSession.#setPassing(this, 'expiryUnreliable', value ? true : undefined)
  }

  /** When the session will be over as far as is known, in ms since the epoch: a time to look, never a proof. */
  get expiresAt(): number {
    return expiryOf(this.stored, this.snapshot)
  }

  /** How many open connections it has. */
  get size(): number {
    if (this.#contexts === undefined) return 0
    return Array.isArray(this.#contexts) ? this.#contexts.length : 1
  }

  /** Whether a connection waits for what a check finds. Handshakes load by themselves. */
  get isChecked(): boolean {
    return this.#contexts !== undefined || this.closedWhileHeld !== undefined
  }

  /** Its open connections, as they are at the call. */
  contexts(): Context[] {
    const contexts = this.#contexts
    if (contexts === undefined) return []
    return Array.isArray(contexts) ? [...contexts] : [contexts]
  }

  /** @returns the slot of the connection, for `remove`. */
  add(context: Context): number {
    const contexts = this.#contexts
    if (contexts === undefined) {
      this.#contexts = context
      return 0
    }
    if (Array.isArray(contexts)) return contexts.push(context) - 1
    this.#contexts = [contexts, context]
    return 1
  }

  /** Takes a connection out, in the same time for the first of ten thousand and for the only one. */
  remove(context: Context): void {
    const contexts = this.#contexts
    if (!Array.isArray(contexts)) {
      this.#contexts = undefined
      return
    }
    const last = contexts.pop()
    if (last !== undefined && last !== context) {
      contexts[context.slot] = last
      last.slot = context.slot
    }
    if (contexts.length === 0) this.#contexts = undefined
  }

  /** Takes all connections out. */
  removeAll(): Context[] {
    const contexts = this.contexts()
    this.#contexts = undefined
    return contexts
  }

  /**
   * What is still to be asked about a connection is asked no longer: it has ended. Without any question left, a failure is over that
   * was one of `authorize` alone.
   */
  withdrawQuestion(context: Context): void {
    const { reauthorization, failure } = this
    reauthorization?.remove(context)
    if (reauthorization?.isOver !== true) return
    this.reauthorization = undefined
    if (failure?.readFailed === false) this.failure = undefined
  }

  /* Static: a class with a private method costs 8 bytes more for each of its objects. */
  static #setPassing<K extends keyof PassingState>(live: LiveSession, name: K, value: PassingState[K]): void {
    if (value === undefined && live.#passing === undefined) return
    const passing = (live.#passing ??= new PassingState())
    passing[name] = value
    if (Object.values(passing).every((state) => state === undefined)) live.#passing = undefined
  }
}
