/*
 * The sessions that all candidates are asked for.
 */
import { sign } from 'cookie-signature'
import { Cookie, type SessionData, type Store } from 'express-session'

declare module 'express-session' {
  interface SessionData {
    user?: string
    count?: number
  }
}

export const secret = 'a secret as long as secrets are: 3f6d1f0a8c5b4e27'
export const user = 'Ada Lovelace'

/** What the app gives to express-session. */
export function sessionOptionsOf(store: Store) {
  return { store, secret, resave: false, saveUninitialized: false }
}

/** As long as express-session's own IDs are. */
export function sessionIDOf(index: number): string {
  return `session-of-the-benchmark-${String(index).padStart(7, '0')}`
}

/** The Cookie header of a browser. */
export function cookieOf(index: number): string {
  return `connect.sid=${encodeURIComponent(`s:${sign(sessionIDOf(index), secret)}`)}`
}

/** The size of a small session: some 200 bytes of JSON. */
export function newRecord(data: { readonly user?: string } = {}): SessionData {
  const cookie = new Cookie()
  cookie.maxAge = 3_600_000
  return Object.assign({ cookie, user, roles: ['reader', 'writer'], basket: { total: 12.5 } }, data)
}

/** The user of a session where each has one of its own. */
export function userOf(index: number): string {
  return `user ${index}`
}

/** @param data what each session holds besides */
export async function fill(
  store: Store,
  count: number,
  first = 0,
  data: (index: number) => { readonly user?: string } = () => ({}),
): Promise<void> {
  for (let index = first; index < first + count; index += 500) {
    const part = Array.from({ length: Math.min(500, first + count - index) }, (_, offset) =>
      setSession(store, index + offset, newRecord(data(index + offset))),
    )
    await Promise.all(part)
  }
}

export function setSession(store: Store, index: number, record: SessionData): Promise<void> {
  return answered((callback) => {
    store.set(sessionIDOf(index), record, callback)
  })
}

export function destroySession(store: Store, index: number): Promise<void> {
  return answered((callback) => {
    store.destroy(sessionIDOf(index), callback)
  })
}

function answered(start: (callback: (error?: unknown) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => {
      if (error instanceof Error) reject(error)
      else resolve()
    })
  })
}
