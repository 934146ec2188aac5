/*
 * What pages and nodes call a session and a socket by.
 */
import { createHash, randomUUID } from 'node:crypto'

import type { SessionContext } from 'ws-session-bridge'

/** A session ID is 24 random bytes, so its hash tells nothing of it. The same as where a context is logged. */
export function hashOf(sessionID: string): string {
  return createHash('sha256').update(sessionID).digest('hex').slice(0, 12)
}

const names = new WeakMap<SessionContext, string>()

/** A context stands for one socket, and nothing in it is a name of that. */
export function socketOf(context: SessionContext): string {
  const name = names.get(context) ?? randomUUID().slice(0, 8)
  names.set(context, name)
  return name
}

/** The path that a context connected to, without the query. */
export function pathOf(url: string): string {
  const [path = ''] = url.split('?', 1)
  return path
}

/** What is left of a session, as far as its snapshot says. */
export function leftMsOf({ session }: SessionContext): number {
  const { expires } = session.cookie
  return expires === null ? Infinity : Math.max(0, Date.parse(expires) - Date.now())
}
