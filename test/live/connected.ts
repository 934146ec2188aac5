// an open client, and the other end of it.
import { once } from 'node:events'
import type { WebSocket } from 'ws'
import type { SessionContext, SessionEnd } from 'ws-session-bridge'
import type { App } from '../support/app.js'
import { open, type Client } from '../support/client.js'

export interface Connected {
  readonly client: Client
  readonly context: SessionContext
  /** The server's end. */
  readonly ws: WebSocket
}

/** Opens a socket, one at a time. */
export async function connect(app: App, cookie: string): Promise<Connected> {
  const accepted = once(app.bridge, 'accept') as Promise<[SessionContext, WebSocket]>
  const client = await open(app.wsUrl, { cookie })
  const [context, ws] = await accepted
  return { client, context, ws }
}

/** The session ID in a Cookie header. */
export function sessionIDOf(app: App, cookie: string): string {
  const sessionID = app.bridge.readSessionID(cookie)
  if (sessionID === undefined) throw new Error('The cookie holds no session ID')
  return sessionID
}

/** The end of a context, also if it has come already. */
export async function endOf(context: SessionContext): Promise<SessionEnd> {
  if (context.ended !== undefined) return context.ended
  const [end] = (await once(context, 'end')) as [SessionEnd]
  return end
}
