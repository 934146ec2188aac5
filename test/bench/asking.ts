/*
 * From a request to the session that it proves: as it is done today, and by the bridge.
 */
import type { IncomingMessage } from 'node:http'

import { parse } from 'cookie'
import { unsign } from 'cookie-signature'
import type { Request, Response } from 'express'
import session, { type SessionData, type Store } from 'express-session'
import { createSessionBridge, type LiveStore, type SessionBridge } from 'ws-session-bridge'

import { secret, sessionOptionsOf } from './sessions.js'

/** Calls back with the session's data; without any where there is none. */
type Ask<T> = (request: IncomingMessage, callback: (found: T | undefined) => void) => void

/** One way to the user of a request. */
export type UserOf = (request: IncomingMessage) => Promise<unknown>

/** The session middleware, replayed on an upgrade: what the documentation of ws shows. */
export function askMiddleware(store: Store): Ask<SessionData> {
  const handle = session(sessionOptionsOf(store))
  return (request, callback) => {
    // What the middleware touches of a response before it calls `next`.
    const response = { writeHead: ignore, end: ignore } as unknown as Response
    handle(request as Request, response, (error: unknown) => {
      const { session } = request as Request
      callback(error === undefined && session.user !== undefined ? session : undefined)
    })
  }
}

/** The least that one can write: no Origin, no expiry, no bounds, nothing after the handshake. */
export function askByHand(store: Store): Ask<SessionData> {
  return ({ headers }, callback) => {
    const value = parse(headers.cookie ?? '')['connect.sid']
    const id = value?.startsWith('s:') === true && unsign(value.slice(2), secret)
    if (!id) return callback(undefined)
    store.get(id, (error: unknown, found) => {
      callback(error ? undefined : (found ?? undefined))
    })
  }
}

export function userByAsking(ask: Ask<SessionData>): UserOf {
  return (request) =>
    new Promise((resolve) => {
      ask(request, (found) => {
        resolve(found?.user)
      })
    })
}

export function bridgeOn(store: Store, live?: LiveStore): SessionBridge {
  return createSessionBridge({ session: sessionOptionsOf(store), live })
}

export function userByBridge(bridge: SessionBridge): UserOf {
  return async (request) => {
    const verdict = await bridge.authenticate(request)
    return verdict.accepted ? verdict.context?.session.user : undefined
  }
}

function ignore(): void {
  // Nothing is answered here.
}
