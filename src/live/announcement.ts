/*
 * A change of a session while its connections are being told of it, batch by batch.
 */
import type { SessionSnapshot } from '../store/snapshot.js'
import type { Context } from './session-context.js'

/**
 * Exists only while connections are being told. Changes that come meanwhile are merged: the newest alone is told after it.
 *
 * Invariant: each connection is told of a change from what it was told last, or from what it joined with.
 */
export class Announcement {
  /** What the connections have been told of by the last round. */
  previous: SessionSnapshot
  /** Connections that joined since the round began, with what they joined with. */
  #joined: Map<Context, SessionSnapshot> | undefined

  constructor(previous: SessionSnapshot) {
    this.previous = previous
  }

  join(context: Context, snapshot: SessionSnapshot): void {
    this.#joined ??= new Map()
    this.#joined.set(context, snapshot)
  }

  /** Begins a round. Returns what each connection knows. */
  begin(): (context: Context) => SessionSnapshot {
    const { previous } = this
    const joined = this.#joined
    this.#joined = undefined
    return (context) => joined?.get(context) ?? previous
  }
}
