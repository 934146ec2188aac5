/*
 * What this process has heard of one session in a store: how often it was written, and what is still under way.
 */
import type { TimeoutNode } from '../internal/timeout-queue.js'
import type { StoreCall } from './store-calls.js'

/** A write that the store has not answered: it may be carried out at any time. */
export class InFlightCall implements TimeoutNode {
  previous: TimeoutNode | undefined
  next: TimeoutNode | undefined
  dueAt = 0

  constructor(
    readonly call: StoreCall,
    readonly sessionID: string,
    readonly heard: Heard,
  ) {}
}

/** What has been heard of one session. */
export class Heard {
  /** How many of the bridge's own writes need it. */
  writing = 0
  /** Of all calls, and of those that remove the session. */
  calls = 0
  destroys = 0
  expiresAt: number | undefined = undefined
  /** Made with the first write: most sessions with a socket are never written by this process. */
  #underWay: Map<StoreCall, InFlightCall> | undefined = undefined
  #onQuiet: (() => void)[] | undefined = undefined

  get isQuiet(): boolean {
    return this.#underWay === undefined || this.#underWay.size === 0
  }

  note(call: StoreCall): void {
    this.calls += 1
    if (call.method === 'destroy' || call.method === 'clear') this.destroys += 1
    // What was given to the store counts when it has taken it.
    if (call.isAnswered && !call.hasFailed) this.expiresAt = call.expiresAt ?? this.expiresAt
  }

  isUnderWay(call: StoreCall): boolean {
    return this.#underWay?.has(call) === true
  }

  begin(call: StoreCall, sessionID: string): InFlightCall {
    const underWay = new InFlightCall(call, sessionID, this)
    this.#underWay ??= new Map()
    this.#underWay.set(call, underWay)
    return underWay
  }

  /** Answered, or lost. */
  over(call: StoreCall): InFlightCall | undefined {
    const underWay = this.#underWay?.get(call)
    this.#underWay?.delete(call)
    if (this.isQuiet) for (const quiet of this.#onQuiet?.splice(0) ?? []) quiet()
    return underWay
  }

  /** Resolves when no write is under way. */
  async quiet(): Promise<void> {
    while (!this.isQuiet) await new Promise<void>((resolve) => (this.#onQuiet ??= []).push(resolve))
  }
}
