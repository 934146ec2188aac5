// a store and a LiveStore whose calls and answers are on their way for any time, so that they
// overtake each other.
import { Store, type SessionData } from 'express-session'
import type { LiveStore, ReplaceResult, StoredSession } from '../../src/store/live-store.js'
import type { Random } from '../support/random.js'
import { expiryOf, type Database } from './slow-database.js'

/** A way to a database. */
export interface Way {
  readonly random: Random
  /** The most that a call takes on its way there, and the most that its answer takes on its way back, in ms. */
  readonly worstMs: number
  isAway: boolean
}

/** Does something when some of the time on the way has passed. */
export function later({ random, worstMs }: Way, work: () => void): void {
  // Most are quick, or nothing would ever overtake the others.
  const ms = Math.floor(random.below(worstMs + 1) * random.one([1, 1, 0.03, 0.03, 0.03]))
  if (ms === 0) setImmediate(work)
  else setTimeout(work, ms)
}

type Callback = ((error?: unknown, value?: SessionData | null) => void) | undefined

/** A store on it, of the bridge's own process. `touch` moves only the expiry, as that of connect-redis does. */
export class SlowStore extends Store {
  constructor(
    readonly database: Database,
    readonly way: Way,
  ) {
    super()
  }

  override readonly get = (sessionID: string, callback: Callback): void => {
    this.#call(callback, () => {
      const row = this.database.read(sessionID)
      return row === undefined ? null : (JSON.parse(row.json) as SessionData)
    })
  }

  override readonly set = (sessionID: string, session: SessionData, callback?: Callback): void => {
    const json = JSON.stringify(session)
    this.#call(callback, () => {
      this.database.write(sessionID, json, 'own')
      return null
    })
  }

  override readonly touch = (sessionID: string, session: SessionData, callback?: Callback): void => {
    const expiresAt = expiryOf(session)
    this.#call(callback, () => {
      this.database.touch(sessionID, expiresAt)
      return null
    })
  }

  override readonly destroy = (sessionID: string, callback?: Callback): void => {
    this.#call(callback, () => {
      this.database.destroy(sessionID, 'own')
      return null
    })
  }

  #call(callback: Callback, work: () => SessionData | null): void {
    later(this.way, () => {
      const failed = this.way.isAway
      const value = failed ? undefined : work()
      later(this.way, () => {
        if (failed) callback?.(new Error('The database is away.'))
        else callback?.(null, value ?? null)
      })
    })
  }
}

interface Raw extends StoredSession {
  readonly json: string
}

/** The same as the bridge has it with Redis: every change is told, writes are compare-and-set, expiries are known now and then. */
export class SlowLiveStore implements LiveStore {
  readonly watched = new Set<string>()
  /** Told, and not read since. */
  readonly #told = new Set<string>()
  #listener: (sessionID: string | undefined) => void = () => undefined

  constructor(
    readonly database: Database,
    readonly way: Way,
  ) {
    database.onChange((sessionID) => {
      if (!this.watched.has(sessionID)) return
      later(way, () => {
        // What is told while it is away is not heard.
        if (way.isAway || !this.watched.has(sessionID)) return
        this.#told.add(sessionID)
        this.#listener(sessionID)
      })
    })
  }

  get(sessionID: string, held?: StoredSession): Promise<StoredSession | undefined> {
    const known = held as Raw | undefined
    const isOverdue = (known?.expiresAt ?? expiryOf(known?.record)) <= Date.now()
    const asks = this.#told.delete(sessionID) || isOverdue || this.way.random.share() < 0.3
    return this.#call(
      () => {
        const row = this.database.read(sessionID)
        return row && { ...row, leftMs: row.expiresAt - Date.now() }
      },
      (row) => {
        if (row === undefined) return undefined
        if (row.json === known?.json && !asks) return known
        const isDated = expiryOf(JSON.parse(row.json) as SessionData) > Date.now()
        // Redis would be asked once more for that one.
        return rawOf(row.json, asks || !isDated ? Date.now() + row.leftMs : undefined)
      },
    )
  }

  replace(sessionID: string, expected: StoredSession, next: SessionData): Promise<ReplaceResult> {
    const json = JSON.stringify(next)
    const { json: before, expiresAt } = expected as Raw
    return this.#call(
      () => this.database.compareAndSet(sessionID, before, json),
      (result) => {
        if (result === 'gone') return result
        return result === 'replaced' ? { replaced: rawOf(json, expiresAt) } : { changed: rawOf(result.json, undefined) }
      },
    )
  }

  async touch(sessionID: string): Promise<'touched' | 'gone'> {
    return await this.#call(
      () => {
        const row = this.database.read(sessionID)
        if (row === undefined) return 'gone'
        const { originalMaxAge } = (JSON.parse(row.json) as SessionData).cookie
        this.database.touch(sessionID, Date.now() + (originalMaxAge ?? Infinity))
        return 'touched'
      },
      (result) => result,
    )
  }

  destroy(sessionID: string): Promise<void> {
    return this.#call(
      () => this.database.destroy(sessionID, 'own'),
      () => undefined,
    )
  }

  watch(sessionID: string): void {
    this.watched.add(sessionID)
  }

  unwatch(sessionID: string): void {
    this.watched.delete(sessionID)
  }

  onChange(listener: (sessionID: string | undefined) => void): void {
    this.#listener = listener
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  /** It is there again: everything may have changed meanwhile. */
  isBack(): void {
    for (const sessionID of this.watched) this.#told.add(sessionID)
    this.#listener(undefined)
  }

  #call<T, R>(work: () => T, answer: (value: T) => R): Promise<R> {
    return new Promise((resolve, reject) => {
      later(this.way, () => {
        const failed = this.way.isAway
        const value = failed ? undefined : { of: work() }
        later(this.way, () => {
          if (value === undefined) reject(new Error('The database is away.'))
          else resolve(answer(value.of))
        })
      })
    })
  }
}

function rawOf(json: string, expiresAt: number | undefined): Raw {
  return { json, record: JSON.parse(json) as SessionData, expiresAt }
}
