/*
 * Whether a session is so new that no other process can have a connection of it.
 */
import type { IncomingMessage } from 'node:http'

import type { SessionData } from 'express-session'

/**
 * express-session makes a session's ID in the request that first needs one. Until that request has written the session for the first time,
 * no store has it, so no process has let a client in with it.
 */
export class NewSessions {
  /** The session that each request has written last. */
  readonly #written = new WeakMap<object, string>()

  /** To be asked at each write that the store has answered. */
  isFirstWriteOf(sessionID: string, session: SessionData | undefined): boolean {
    const request = requestOf(session)
    if (request === undefined || this.#written.get(request) === sessionID) return false
    this.#written.set(request, sessionID)
    return !carries(request, sessionID)
  }
}

/* A Session of express-session has the request that it belongs to; what a job or a bridge writes has none, or not a whole one. */
function requestOf(session: SessionData | undefined): IncomingMessage | undefined {
  try {
    const { req } = (session ?? {}) as { req?: Partial<IncomingMessage> }
    return Array.isArray(req?.rawHeaders) && typeof req.url === 'string' ? (req as IncomingMessage) : undefined
  } catch {
    return undefined
  }
}

/* Whoever sent the ID has it from before; most often in a cookie, but an app may read it elsewhere. */
function carries({ rawHeaders, url, headers }: IncomingMessage, sessionID: string): boolean {
  try {
    return [url ?? '', headers.cookie ?? '', ...rawHeaders].some((text) => decodeURIComponent(text).includes(sessionID))
  } catch {
    return true
  }
}
