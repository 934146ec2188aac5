/*
 * Which sessions Redis has announced a change of, and when the bridge is told.
 */

import { forEachInBatches } from '../internal/batches.js'

/** Why a session is to be looked at: Redis says that it changed, or could not have been heard saying so. */
export type Announcement = 'changed' | 'missed'

/** So many false alarms at once are nothing to worry about … */
const burst = 1_000
/** … and so many a second. */
const perSecond = 500
const holdMs = 500

/**
 * With more keys than `tracking-table-max-keys` Redis forgets one for each that is read, and announces it: read again, that
 * one makes it forget the next, for ever. So reports are held back while too many of them turn out to be false.
 */
export class InvalidationThrottle {
  readonly #report: (sessionID: string) => void
  readonly #watched = new Set<string>()
  /** Announced, and not looked at since. */
  readonly #announced = new Map<string, Announcement>()
  readonly #held = new Set<string>()
  #timer: NodeJS.Timeout | undefined
  #tokens = burst
  #tokensAt = performance.now()

  constructor(report: (sessionID: string) => void) {
    this.#report = report
  }

  watch(sessionID: string): void {
    this.#watched.add(sessionID)
  }

  unwatch(sessionID: string): void {
    this.#watched.delete(sessionID)
    this.#announced.delete(sessionID)
    this.#held.delete(sessionID)
  }

  announce(sessionID: string): void {
    if (!this.#watched.has(sessionID)) return
    this.#announced.set(sessionID, 'changed')
    this.#refill()
    if (this.#tokens > 0 && this.#timer === undefined) this.#report(sessionID)
    else this.#hold(sessionID)
  }

  /** Changes of any session may have gone unheard: all are to be looked at, without a report. */
  missAll(): void {
    for (const sessionID of this.#watched) this.#miss(sessionID)
    this.#held.clear()
  }

  /** The same for some of them, and these are reported. */
  miss(concerns: (sessionID: string) => boolean): void {
    void forEachInBatches(this.#watched, (sessionID) => {
      if (concerns(sessionID)) this.missOne(sessionID)
    })
  }

  /** The same for one. */
  missOne(sessionID: string): void {
    if (!this.#watched.has(sessionID)) return
    this.#miss(sessionID)
    this.#report(sessionID)
  }

  /** Takes the word that the session was announced; it is to be given back if nothing could be read. */
  take(sessionID: string): Announcement | undefined {
    const announcement = this.#announced.get(sessionID)
    if (announcement !== undefined) this.#announced.delete(sessionID)
    return announcement
  }

  giveBack(sessionID: string, announcement: Announcement): void {
    if (this.#watched.has(sessionID) && !this.#announced.has(sessionID)) this.#announced.set(sessionID, announcement)
  }

  /** What was announced is as it was. */
  recordSpurious(): void {
    this.#refill()
    this.#tokens -= 1
  }

  /** One false alarm is to come: what this process writes itself is announced as well. */
  expectOwnWrite(): void {
    this.#tokens += 1
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#watched.clear()
  }

  /* That nothing has changed would be no false alarm, unless Redis has said so as well. */
  #miss(sessionID: string): void {
    if (!this.#announced.has(sessionID)) this.#announced.set(sessionID, 'missed')
  }

  #hold(sessionID: string): void {
    this.#held.add(sessionID)
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      const held = [...this.#held]
      this.#held.clear()
      for (const each of held) this.#report(each)
    }, holdMs).unref()
  }

  #refill(): void {
    const now = performance.now()
    this.#tokens = Math.min(this.#tokens + ((now - this.#tokensAt) / 1000) * perSecond, burst)
    this.#tokensAt = now
  }
}
