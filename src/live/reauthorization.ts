/*
 * Which connections of a session `authorize` has to be asked about again.
 */
import type { Context } from './session-context.js'

type State = 'requested' | 'asking' | 'asking-outdated' | 'failed'

/**
 * Exists only while there is something to ask.
 *
 * Invariant: a connection is in here from the moment a question arises until the newest question about it was answered with yes,
 * or it has ended. There is at most one question at a time for each; newer ones are merged into one that comes after it. So an
 * older yes never hides a newer failure.
 */
export class Reauthorization {
  readonly #states = new Map<Context, State>()

  get isOver(): boolean {
    return this.#states.size === 0
  }

  has(context: Context): boolean {
    return this.#states.has(context)
  }

  /** The connections whose last question failed. */
  failed(): Context[] {
    return [...this.#states].filter(([, state]) => state === 'failed').map(([context]) => context)
  }

  /** There is a new question. One that is being asked is outdated: it is asked anew after its answer. */
  request(context: Context): void {
    const state = this.#states.get(context)
    const isAsking = state === 'asking' || state === 'asking-outdated'
    this.#states.set(context, isAsking ? 'asking-outdated' : 'requested')
  }

  /** True if the question is to be asked now. */
  start(context: Context): boolean {
    if (this.#states.get(context) !== 'requested') return false
    this.#states.set(context, 'asking')
    return true
  }

  /** The answer was yes. False: a newer question is to be asked. */
  permit(context: Context): boolean {
    if (this.#isOutdated(context)) return false
    this.#states.delete(context)
    return true
  }

  /** There was no answer. False: a newer question is to be asked. */
  fail(context: Context): boolean {
    if (this.#isOutdated(context)) return false
    this.#states.set(context, 'failed')
    return true
  }

  /** The connection has ended. */
  remove(context: Context): void {
    this.#states.delete(context)
  }

  #isOutdated(context: Context): boolean {
    if (this.#states.get(context) !== 'asking-outdated') return false
    this.#states.set(context, 'requested')
    return true
  }
}
