/*
 * Which sessions Redis has announced a change of, and when the bridge is told.
 * In: announced sessions, and what came of looking. Out: reports, at once or, while they mean nothing, twice a second.
 */

/** So many false alarms at once are nothing to worry about … */
const burst = 1_000
/** … and so many a second. */
const perSecond = 500
const holdMs = 500

/**
 * With more keys than `tracking-table-max-keys` Redis forgets one for each that is read, and announces it: read again, that
 * one makes it forget the next, for ever. So reports are held back while too many of them turn out to be false.
 */
export class Announcements {
  readonly #report: (sessionID: string) => void
  readonly #watched = new Set<string>()
  /** Announced, and not looked at since. */
  readonly #announced = new Set<string>()
  readonly #held = new Set<string>()
  #timer: NodeJS.Timeout | undefined
  #credit = burst
  #creditAt = performance.now()

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
    this.#announced.add(sessionID)
    this.#refill()
    if (this.#credit > 0 && this.#timer === undefined) this.#report(sessionID)
    else this.#hold(sessionID)
  }

  /** Announces all without reporting them. */
  announceAll(): void {
    for (const sessionID of this.#watched) this.#announced.add(sessionID)
    this.#held.clear()
  }

  /** Takes the word that the session was announced; it is given back by `announceAgain` if nothing could be read. */
  take(sessionID: string): boolean {
    return this.#announced.delete(sessionID)
  }

  announceAgain(sessionID: string): void {
    if (this.#watched.has(sessionID)) this.#announced.add(sessionID)
  }

  /** What was announced is as it was. */
  falseAlarm(): void {
    this.#refill()
    this.#credit -= 1
  }

  /** One false alarm is to come: what this process writes itself is announced as well. */
  expectEcho(): void {
    this.#credit += 1
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#watched.clear()
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
    this.#credit = Math.min(this.#credit + ((now - this.#creditAt) / 1000) * perSecond, burst)
    this.#creditAt = now
  }
}
