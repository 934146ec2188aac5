// sessions in one place, each command done wholly before the next, and what has become of them.
import type { SessionData } from 'express-session'

export interface Row {
  readonly json: string
  readonly expiresAt: number
}

/** How a session went: by whom, and when, by `performance.now()`. */
export interface Departure {
  readonly how: 'destroyed' | 'expired'
  readonly by: Party
  readonly at: number
}

/** The bridge's own process, or any other. */
export type Party = 'own' | 'other'

/** Does at once, and wholly, what it is told, as a database does that carries out one command after the other. */
export class Database {
  readonly rows = new Map<string, Row>()
  readonly departed = new Map<string, Departure>()
  /** Sessions that came back, and those of them that did after a logout. */
  readonly returned = new Set<string>()
  readonly revived = new Set<string>()
  /** When what it holds was written last, by `performance.now()`. */
  readonly writtenAt = new Map<string, number>()
  /** Whose word the expiry is: only the bridge's own process knows what it has said itself. */
  readonly datedBy = new Map<string, Party>()
  /** When it was said last, by `performance.now()`. */
  readonly datedAt = new Map<string, number>()
  readonly #listeners = new Set<(sessionID: string) => void>()

  read(sessionID: string): Row | undefined {
    this.sweep()
    return this.rows.get(sessionID)
  }

  write(sessionID: string, json: string, by: Party, expiresAt = expiryOf(JSON.parse(json) as SessionData)): void {
    this.sweep()
    const departure = this.departed.get(sessionID)
    if (departure !== undefined) this.returned.add(sessionID)
    if (departure?.how === 'destroyed') this.revived.add(sessionID)
    this.departed.delete(sessionID)
    this.rows.set(sessionID, { json, expiresAt })
    this.writtenAt.set(sessionID, performance.now())
    this.datedBy.set(sessionID, by)
    this.datedAt.set(sessionID, performance.now())
    this.#tell(sessionID)
    this.sweep()
  }

  /** Writes only over `expected`, and leaves the expiry as it is. */
  compareAndSet(sessionID: string, expected: string, next: string): Row | 'replaced' | 'gone' {
    const row = this.read(sessionID)
    if (row === undefined) return 'gone'
    if (row.json !== expected) return row
    this.rows.set(sessionID, { json: next, expiresAt: row.expiresAt })
    this.writtenAt.set(sessionID, performance.now())
    this.#tell(sessionID)
    return 'replaced'
  }

  touch(sessionID: string, expiresAt: number): boolean {
    const row = this.read(sessionID)
    if (row === undefined) return false
    this.rows.set(sessionID, { json: row.json, expiresAt })
    // The record's own date says nothing of it.
    this.datedBy.set(sessionID, 'other')
    this.datedAt.set(sessionID, performance.now())
    this.#tell(sessionID)
    return true
  }

  destroy(sessionID: string, by: Party): void {
    this.sweep()
    if (this.rows.has(sessionID)) this.#depart(sessionID, 'destroyed', by)
  }

  /** Forgets what has expired. */
  sweep(): void {
    const now = Date.now()
    for (const [id, { expiresAt }] of this.rows) {
      if (expiresAt <= now) this.#depart(id, 'expired', this.datedBy.get(id) ?? 'other')
    }
  }

  onChange(listener: (sessionID: string) => void): void {
    this.#listeners.add(listener)
  }

  #depart(sessionID: string, how: Departure['how'], by: Party): void {
    this.rows.delete(sessionID)
    this.departed.set(sessionID, { how, by, at: performance.now() })
    // As Redis does, that tells of an expiry when it is asked.
    if (how === 'destroyed') this.#tell(sessionID)
  }

  #tell(sessionID: string): void {
    for (const listener of this.#listeners) listener(sessionID)
  }
}

/** By the record's own date; Infinity for one without. */
export function expiryOf(session: SessionData | undefined): number {
  const { expires } = (session?.cookie ?? {}) as { expires?: Date | string | null }
  return expires ? new Date(expires).valueOf() : Infinity
}
