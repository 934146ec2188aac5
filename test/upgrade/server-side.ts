// both ends of an open connection, and what a callback was given.
import { once } from 'node:events'
import type { WebSocket } from 'ws'
import type { SessionContext, SessionRequest } from 'ws-session-bridge'
import type { App } from '../support/app.js'
import { open, type Client, type UpgradeOptions } from '../support/client.js'

export interface BothEnds {
  readonly client: Client
  readonly ws: WebSocket
  readonly request: SessionRequest
  readonly context: SessionContext
}

/** Opens a WebSocket; by default as a user who has just logged in. */
export async function connect(app: App, options?: UpgradeOptions): Promise<BothEnds & { cookie: string }> {
  const cookie = options?.cookie ?? (await app.login('ada'))
  const connection = once(app.wss, 'connection') as Promise<[WebSocket, SessionRequest, SessionContext]>
  const client = await open(app.wsUrl, { ...options, cookie })
  const [ws, request, context] = await connection
  return { client, ws, request, context, cookie }
}

/** What the callback of a call is given; a failure is a value like another. */
export function answerTo<T = unknown>(
  call: (callback: (error?: unknown, value?: T) => void) => unknown,
): Promise<{ error: unknown; value: T | undefined }> {
  return new Promise((resolve) => {
    call((error, value) => {
      resolve({ error, value })
    })
  })
}

/** What a store holds under an ID, as any express-session app reads it. */
export async function recordOf({ store }: Pick<App, 'store'>, sessionID: string): Promise<unknown> {
  const { value } = await answerTo((callback) => {
    store.get(sessionID, callback)
  })
  return value
}
