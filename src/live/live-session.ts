/*
 * One session that has connections in this process, however many.
 */
import type { StoredSession } from '../store/live-store.js'
import type { SessionSnapshot } from '../store/snapshot.js'
import type { Context } from './session-context.js'
import type { Due } from '../internal/timer-heap.js'

/** Some stores keep time in whole seconds: by so much they may be late. */
export const wholeSecondMs = 1_000

/** The shared state of a session's connections. Plain fields: the registry and the checks keep them. */
export class LiveSession implements Due {
  readonly sessionID: string
  dueAt = Infinity
  heapIndex = -1

  /** What the store gave last, and the same as handlers see it; undefined until the first load. */
  stored: StoredSession | undefined = undefined
  snapshot: SessionSnapshot | undefined = undefined

  /** Its open connections. */
  contexts: Context[] = []
  /** Handshakes under way: they need the reports, too. */
  handshakes = 0

  /** Grows with every report: a handshake that sees another number than before its load loads again. */
  version = 0
  /** Which of them was that it is gone: whoever has loaded it before is not let in. 0: none. */
  removedAtVersion = 0
  /** Reads are numbered as they begin. One that began before what was applied last says nothing new. */
  readsBegun = 0
  readApplied = 0
  /** It was still there when it should have been over for long: the date that is known of it says nothing. */
  expiryUnreliable = false

  checking = false
  checkAgain = false
  /** When the first check failed of those that have failed since the last good one, by `clock.elapsed()`. */
  failedSince: number | undefined = undefined
  pauseMs = 0
  /** Grows with every reason to ask `authorize`; up to which of them it has been asked, and its answer is known. */
  authorizeRequested = 0
  authorizeStarted = 0
  authorizeSettled = 0
  /** While the connections are being told of a change, slice by slice. */
  announcing: Promise<void> | undefined = undefined

  /** When the bridge last put off the expiry, by `clock.elapsed()`; undefined: never. */
  touchedAt: number | undefined = undefined

  constructor(sessionID: string) {
    this.sessionID = sessionID
  }

  /** When the session will be over as far as is known, in ms since the epoch: a time to look, never a proof. */
  get expiresAt(): number {
    const { stored, snapshot } = this
    if (stored?.expiresAt !== undefined) return stored.expiresAt
    const expires = snapshot?.cookie.expires
    return expires === null || expires === undefined ? Infinity : Date.parse(expires)
  }
}
