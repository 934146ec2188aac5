/*
 * What time it is, for whatever waits for a session: the system's, or in tests one that can be turned.
 */

/** Where the time comes from. */
export interface Clock {
  /** In ms since the epoch: what expiries are compared with. */
  now(): number
  /** In ms since some moment: what pauses are measured with, since the time of day may be set. */
  elapsed(): number
  /** Calls back once, later, and keeps no process alive for it. Returns what calls it off. */
  after(delayMs: number, callback: () => void): () => void
}

/** The longest that a timer of Node can wait, in ms: one that is set for longer fires at once. */
export const longestTimerMs = 2 ** 31 - 1

/** The system's. The globals are looked up at each call, so that a test runner's fake timers apply. */
export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs).unref()
    return () => clearTimeout(timer)
  },
}
