/*
 * What this process has done to one session of a store, as far as its reads and writes need to know it.
 */
import type { SessionData } from 'express-session'

import type { TimeoutNode } from '../internal/timeout-queue.js'
import type { StoreCall } from './store-calls.js'

/** A call that the store has not answered: the store may carry it out at any time. */
export class InFlightCall implements TimeoutNode {
  previous: TimeoutNode | undefined
  next: TimeoutNode | undefined
  dueAt = 0

  constructor(
    readonly call: StoreCall,
    readonly sessionID: string,
  ) {}
}

/** The calls to one session. A touch is no write: it changes nothing that a write could overwrite. */
export class SessionActivity {
  /** How many of the LiveStore's own operations need this object. */
  users = 0
  /** Grows with every write, at its call and at its answer: a read is current only if it did not grow meanwhile. */
  writes = 0
  /** Grows with every `destroy` and `clear`, in the same way. */
  destroys = 0
  /** The expiry of the session by the newest call that the store has taken, in ms since the epoch. */
  expiresAt: number | undefined = undefined
  /** That call: the answer to an older one may come after its own. */
  #expiryOfCall = 0
  /** The date of the record by the newest `set` of this process. */
  dateSet: number | undefined = undefined
  #kept: { readonly record: SessionData; readonly writes: number } | undefined = undefined
  /* Made with the first call: most sessions with a socket are never written by this process. */
  #inFlight: Map<StoreCall, InFlightCall> | undefined = undefined
  #waiting: (() => void)[] | undefined = undefined
  #lastTurn: Promise<void> | undefined = undefined

  get isIdle(): boolean {
    return this.users === 0 && (this.#inFlight === undefined || this.#inFlight.size === 0)
  }

  /** Counts a call, or its answer. */
  note(call: StoreCall): void {
    if (call.method !== 'touch') this.writes += 1
    if (call.method === 'destroy' || call.method === 'clear') this.destroys += 1
    if (!call.isAnswered || call.hasFailed || call.expiresAt === undefined || call.number < this.#expiryOfCall) return
    this.expiresAt = call.expiresAt
    if (call.method === 'set') this.dateSet = call.expiresAt
    this.#expiryOfCall = call.number
  }

  /** The record has another date than before: unless this process has given it, the expiry is another's. */
  dateFound(date: number): void {
    if (!isAbout(date, this.expiresAt) && !isAbout(date, this.dateSet)) this.expiresAt = undefined
  }

  /** For a touch that follows the read which found this record, begun when there had been so many writes. */
  keep(record: SessionData, writes: number): void {
    this.#kept = { record, writes }
  }

  /** What was kept, once; undefined if it may not be what the store has: something was written since, or is being written. */
  takeKept(): SessionData | undefined {
    const kept = this.#kept
    this.#kept = undefined
    return kept?.writes === this.writes && this.isIdle ? kept.record : undefined
  }

  dropKept(): void {
    this.#kept = undefined
  }

  begin(call: InFlightCall): void {
    this.#inFlight ??= new Map()
    this.#inFlight.set(call.call, call)
  }

  /** The call was answered, or is taken for lost. */
  finish(call: StoreCall): InFlightCall | undefined {
    const inFlight = this.#inFlight?.get(call)
    if (inFlight === undefined) return undefined
    this.#inFlight?.delete(call)
    for (const resolve of this.#waiting?.splice(0) ?? []) resolve()
    return inFlight
  }

  isInFlight(call: StoreCall): boolean {
    return this.#inFlight?.has(call) === true
  }

  /** Resolves when no write is in flight. */
  async writesDone(): Promise<void> {
    while (this.#calls().some(({ method }) => method !== 'touch')) await this.#nextAnswer()
  }

  /** Resolves when the touches that are in flight now are done; those that come later are not waited for. */
  async touchesDone(): Promise<void> {
    const touches = this.#calls().filter(({ method }) => method === 'touch')
    while (touches.some((touch) => this.isInFlight(touch))) await this.#nextAnswer()
  }

  /** Resolves when whoever had the turn before has left it. The one who waits leaves by the function that it is given. */
  turn(): { readonly ready: Promise<void>; readonly leave: () => void } {
    const ready = this.#lastTurn ?? Promise.resolve()
    let leave = (): void => undefined
    const left = new Promise<void>((resolve) => (leave = resolve))
    this.#lastTurn = ready.then(() => left)
    return { ready, leave }
  }

  #calls(): StoreCall[] {
    return this.#inFlight === undefined ? [] : [...this.#inFlight.keys()]
  }

  #nextAnswer(): Promise<void> {
    return new Promise((resolve) => (this.#waiting ??= []).push(resolve))
  }
}

/* Some stores keep whole seconds. */
function isAbout(date: number, given: number | undefined): boolean {
  return given !== undefined && Math.abs(date - given) < 1_000
}
