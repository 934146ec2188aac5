// the session ID that the real express-session middleware asks its store for.
import type { Request, Response } from 'express'
import session, { Store, type SessionOptions } from 'express-session'

/** Knows no session, and remembers which one it was asked for. */
export class AskedStore extends Store {
  asked: string | undefined

  override get(sessionID: string, callback: (error: unknown, session?: null) => void): void {
    this.asked = sessionID
    callback(null, null)
  }

  override set(_sessionID: string, _session: unknown, callback?: () => void): void {
    callback?.()
  }

  override destroy(_sessionID: string, callback?: () => void): void {
    callback?.()
  }
}

/** A store of its own for the middleware: session() changes the store that it is given. */
export function createExpressReader(
  options: Omit<SessionOptions, 'store'>,
): (cookieHeader: string, fallbacks?: object) => string | undefined {
  const store = new AskedStore()
  const middleware = session({ resave: false, saveUninitialized: false, ...options, store })
  return (cookieHeader, fallbacks) => {
    store.asked = undefined
    const request = { headers: { cookie: cookieHeader }, url: '/', originalUrl: '/', ...fallbacks }
    const response = { writeHead() {}, end() {}, write() {} }
    middleware(request as unknown as Request, response as unknown as Response, (error?: unknown) => {
      if (error) throw error as Error
    })
    return store.asked
  }
}
