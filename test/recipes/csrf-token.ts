// only a page that knows it opens a socket.
// #region docs
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { RequestHandler } from 'express'
import type { Authorize } from 'ws-session-bridge'

declare module 'express-session' {
  interface SessionData {
    csrfToken?: string
  }
}

/** `GET /csrf-token`: other sites can send this request, but not read its answer. */
export const csrfToken: RequestHandler = (request, response) => {
  request.session.csrfToken ??= randomBytes(32).toString('base64url')
  response.set('Cache-Control', 'no-store').json({ token: request.session.csrfToken })
}

/** For the option `authorize`: `new WebSocket('/chat?csrf=…')`, or `new WebSocket('/chat', ['chat', 'csrf.…'])`. */
export const knowsCsrfToken: Authorize = (session, request) => {
  // Asked again after a change of the session, when the token has been shown already.
  if (request === undefined) return true
  const shown = tokenInQuery(request.url) ?? tokenInProtocols(request.headers['sec-websocket-protocol'])
  return session.csrfToken !== undefined && shown !== undefined && isSame(shown, session.csrfToken)
}

function tokenInQuery(url = ''): string | undefined {
  return new URLSearchParams(url.split('?')[1]).get('csrf') ?? undefined
}

function tokenInProtocols(header = ''): string | undefined {
  const protocols = header.split(',').map((protocol) => protocol.trim())
  return protocols.find((protocol) => protocol.startsWith('csrf.'))?.slice('csrf.'.length)
}

/* In the same time wherever they differ, and whatever their lengths. */
function isSame(one: string, other: string): boolean {
  const [first, second] = [one, other].map((text) => createHash('sha256').update(text).digest())
  return first !== undefined && second !== undefined && timingSafeEqual(first, second)
}
// #endregion
