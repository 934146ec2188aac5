// a store that keeps JSON in it and an expiry beside it, as connect-redis does: `touch` moves only the expiry.
import { Store, type SessionData } from 'express-session'

export interface Kept {
  readonly json: string
  expiresAt: number
}

/** Two of these on one map are two processes on one database: neither hears of the other's calls. */
export class TtlStore extends Store {
  readonly data: Map<string, Kept>

  constructor(data = new Map<string, Kept>()) {
    super()
    this.data = data
  }

  override readonly get = (
    sessionID: string,
    callback: (error: unknown, session?: SessionData | null) => void,
  ): void => {
    const kept = this.#read(sessionID)
    setImmediate(callback, null, kept === undefined ? null : (JSON.parse(kept.json) as SessionData))
  }

  override readonly set = (sessionID: string, session: SessionData, callback?: (error?: unknown) => void): void => {
    const expiresAt = expiryOf(session)
    if (expiresAt > Date.now()) this.data.set(sessionID, { json: JSON.stringify(session), expiresAt })
    else this.data.delete(sessionID)
    if (callback) setImmediate(callback)
  }

  override readonly touch = (sessionID: string, session: SessionData, callback?: () => void): void => {
    const kept = this.#read(sessionID)
    if (kept !== undefined) kept.expiresAt = expiryOf(session)
    this.#read(sessionID)
    if (callback) setImmediate(callback)
  }

  override readonly destroy = (sessionID: string, callback?: (error?: unknown) => void): void => {
    this.data.delete(sessionID)
    if (callback) setImmediate(callback)
  }

  #read(sessionID: string): Kept | undefined {
    const kept = this.data.get(sessionID)
    if (kept === undefined || kept.expiresAt > Date.now()) return kept
    this.data.delete(sessionID)
    return undefined
  }
}

function expiryOf({ cookie }: SessionData): number {
  const { expires } = cookie as { expires?: Date | string | null }
  return expires ? new Date(expires).valueOf() : Infinity
}
