/*
 * The demo attacks itself. A page cannot do it: a script can neither set an httpOnly cookie nor read the HTTP status of a
 * refused WebSocket. So the server plays the attacker and opens real WebSockets to itself, over the network.
 * In: `POST /attempts` by somebody who is logged in. Out: what became of each attempt.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

import { Router } from 'express'
import { WebSocket } from 'ws'
import type { Refusal, RefusalReason, SessionBridge } from 'ws-session-bridge'

/** What the page shows of an attempt. */
export interface Attempt {
  readonly what: string
  /** The HTTP status on the wire; 101 is an open WebSocket. */
  readonly status: number
  /** What the bridge's `refuse` event said. The client is not told: one 401 looks like any other. */
  readonly reason: RefusalReason | undefined
}

interface Disguise {
  readonly what: string
  readonly cookie?: string
  readonly origin?: string
}

/** `POST /attempts`. */
export function attemptRoutes(bridge: SessionBridge, port: () => number): Router {
  return Router().post('/attempts', async (request, response) => {
    if (request.session.user === undefined) return response.status(401).json({ error: 'Log in first.' })
    const attempts: Attempt[] = []
    for (const disguise of disguises(bridge, request.sessionID)) {
      attempts.push(await attempt(bridge, `127.0.0.1:${port()}`, disguise))
    }
    return response.json({ attempts })
  })
}

function disguises(bridge: SessionBridge, sessionID: string): Disguise[] {
  const cookie = bridge.signedCookie(sessionID)
  const [name] = cookie.split('=', 1)
  return [
    { what: 'Your cookie with one character of its signature changed', cookie: withLastCharacterChanged(cookie) },
    { what: 'Your session ID without a signature', cookie: `${name}=${encodeURIComponent(sessionID)}` },
    { what: 'An invented session ID, signed with the right secret', cookie: bridge.signedCookie(randomUUID()) },
    { what: 'No cookie', cookie: '' },
    { what: 'Your cookie, sent by a page of another site', cookie, origin: 'https://evil.example' },
    { what: 'Your cookie as it is', cookie },
  ]
}

async function attempt(bridge: SessionBridge, host: string, { what, cookie, origin }: Disguise): Promise<Attempt> {
  // The path's query tells this attempt's refusal from those of other people.
  const path = `/chat?attempt=${randomUUID()}`
  let reason: RefusalReason | undefined
  const note = (refusal: Refusal, request: IncomingMessage): void => {
    if (request.url === path) ({ reason } = refusal)
  }
  bridge.on('refuse', note)
  try {
    const ws = new WebSocket(`ws://${host}${path}`, { headers: { cookie, origin: origin ?? `http://${host}` } })
    return { what, status: await statusOf(ws), reason }
  } finally {
    bridge.off('refuse', note)
  }
}

function statusOf(ws: WebSocket): Promise<number> {
  return new Promise((resolve, reject) => {
    let status = 0
    ws.on('open', () => {
      status = 101
      ws.close()
    })
    ws.on('unexpected-response', (_request, response) => {
      status = response.statusCode ?? 0
      ws.terminate()
    })
    ws.on('error', (error) => {
      // Terminating a socket that never opened is an error, too.
      if (status === 0) reject(error)
    })
    ws.on('close', () => resolve(status))
  })
}

function withLastCharacterChanged(cookie: string): string {
  return cookie.slice(0, -1) + (cookie.endsWith('A') ? 'B' : 'A')
}
