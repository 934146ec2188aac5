/*
 * Which of Redis' announcements are reported at once, and which are held back for a moment.
 */
import { forEachInBatches } from '../internal/batches.js'

/** So many announcements of a session may be spurious in a row … */
const burst = 5
/** … and so many a second are forgiven. */
const forgivenPerSecond = 1
const holdMs = 500

/** Announcements that have not turned out to tell of a change. */
interface Debt {
  spent: number
  at: number
}

/**
 * With more keys than `tracking-table-max-keys`, Redis forgets a key for each one that is read, and announces it: reading that
 * one again makes it forget the next, in an endless loop. So every announcement costs a token, which a change gives back, and
 * a session without tokens is reported every half second only. The tokens are the session's own: a session that is
 * touched a thousand times a second delays no other session's logout.
 */
export class InvalidationThrottle {
  readonly #report: (sessionID: string) => void
  readonly #watched = new Set<string>()
  /** Only of sessions that have spent tokens. */
  readonly #debts = new Map<string, Debt>()
  readonly #held = new Set<string>()
  /** Announced and not read since: the next change is not announced. */
  readonly #unread = new Set<string>()
  readonly #ownWrites = new Map<string, 'expected' | 'announced'>()
  #timer: NodeJS.Timeout | undefined

  constructor(report: (sessionID: string) => void) {
    this.#report = report
  }

  watch(sessionID: string): void {
    this.#watched.add(sessionID)
  }

  unwatch(sessionID: string): void {
    this.#watched.delete(sessionID)
    this.#debts.delete(sessionID)
    this.#held.delete(sessionID)
    this.#unread.delete(sessionID)
  }

  /** Redis says that the session's key was changed, or touched, or forgotten. */
  announce(sessionID: string): void {
    if (!this.#watched.has(sessionID)) return
    if (this.#ownWrites.get(sessionID) === 'expected') {
      this.#ownWrites.set(sessionID, 'announced')
      return
    }
    this.#unread.add(sessionID)
    if (this.#takeToken(sessionID)) this.#report(sessionID)
    else this.#hold(sessionID)
  }

  /** The session was read: its next change is announced. */
  wasRead(sessionID: string): void {
    this.#unread.delete(sessionID)
  }

  /**
   * A write begins on the connection that announces, followed by a read there: its own announcement, which is the first one from
   * now on, is not reported. Redis' NOLOOP would do the same, but also keeps quiet about keys that it forgets for want of
   * space when the connection itself reads.
   *
   * @returns what is to be called when both have been answered, with whether the write was done.
   */
  beginOwnWrite(sessionID: string): (isDone: boolean) => void {
    // Announced already and not read since: then the write itself is not announced.
    if (this.#unread.has(sessionID) || this.#ownWrites.has(sessionID)) return () => undefined
    this.#ownWrites.set(sessionID, 'expected')
    return (isDone) => {
      const state = this.#ownWrites.get(sessionID)
      this.#ownWrites.delete(sessionID)
      // It was the write of another client.
      if (state === 'announced' && !isDone) this.missed(sessionID)
    }
  }

  /** A change was found: an announcement told the truth. */
  giveBack(sessionID: string): void {
    const debt = this.#debts.get(sessionID)
    if (debt === undefined) return
    debt.spent -= 1
    if (debt.spent <= 0) this.#debts.delete(sessionID)
  }

  /** One spurious announcement is to come, or has come: a write of this process is announced as well. */
  expectOwnWrite(sessionID: string): void {
    if (!this.#watched.has(sessionID)) return
    const debt = this.#debts.get(sessionID)
    if (debt === undefined) this.#debts.set(sessionID, { spent: -1, at: performance.now() })
    else debt.spent = Math.max(debt.spent - 1, -burst)
  }

  /** Changes of this session may have gone unheard: it is reported. */
  missed(sessionID: string): void {
    if (this.#watched.has(sessionID)) this.#report(sessionID)
  }

  /** The same for all that are watched and concerned. */
  missedWhere(concerns: (sessionID: string) => boolean): void {
    void forEachInBatches(this.#watched, (sessionID) => {
      if (concerns(sessionID)) this.missed(sessionID)
    })
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#watched.clear()
  }

  #takeToken(sessionID: string): boolean {
    const now = performance.now()
    const debt = this.#debts.get(sessionID) ?? { spent: 0, at: now }
    const forgiven = ((now - debt.at) / 1000) * forgivenPerSecond
    const spent = debt.spent <= 0 ? debt.spent : Math.max(debt.spent - forgiven, 0)
    debt.spent = Math.min(spent + 1, burst)
    debt.at = now
    this.#debts.set(sessionID, debt)
    return spent + 1 <= burst
  }

  #hold(sessionID: string): void {
    this.#held.add(sessionID)
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      const held = [...this.#held]
      this.#held.clear()
      for (const each of held) this.missed(each)
    }, holdMs).unref()
  }
}
