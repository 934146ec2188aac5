/*
 * Whose connection state it is: what one session left behind must never be recovered by another.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'

import type { SessionContext } from '../live/session-context.js'
import type { Auth } from './internals.js'

/**
 * The private ID with a mark of its session. It goes to the client and, as a key, into the adapter: it is keyed with the
 * session ID and does not hold it.
 */
export function markedPid(pid: string, owner: SessionContext | undefined): string {
  return `${pid}.${markOf(pid, owner)}`
}

/** What the client has sent along, without the wish to recover what another session left behind. */
export function withOwnPidOnly(auth: Auth | undefined, owner: SessionContext | undefined): Auth | undefined {
  if (auth?.pid === undefined || isOwn(auth.pid, owner)) return auth
  const { pid, offset, ...others } = auth
  return others
}

function isOwn(marked: unknown, owner: SessionContext | undefined): boolean {
  if (typeof marked !== 'string') return false
  const dot = marked.lastIndexOf('.')
  const mark = Buffer.from(marked.slice(dot + 1))
  const expected = Buffer.from(markOf(marked.slice(0, Math.max(dot, 0)), owner))
  return mark.length === expected.length && timingSafeEqual(mark, expected)
}

/* No session has an empty ID (authenticate/session-cookie.ts), so that no session has the mark of an anonymous connection. */
function markOf(pid: string, owner: SessionContext | undefined): string {
  return createHmac('sha256', owner?.sessionID ?? '')
    .update(`socket.io recovery ${pid}`)
    .digest('base64url')
}
