/*
 * The handshake alone: origin, cookie, session ID, store, authorize, in this order.
 * In: a request, which is left as it is. Out: the session that it proves, or the refusal.
 */
import type { IncomingMessage } from 'node:http'

import { StoreUnavailableError } from '../errors.js'
import { permits, type Authorize } from '../live/authorize.js'
import type { HandshakeInfo, SessionContext } from '../live/context.js'
import type { Reports } from '../live/reports.js'
import type { StoredSession } from '../store/live-store.js'
import { snapshotOf, type SessionSnapshot } from '../store/snapshot.js'
import { refusalOf, type Refusal } from '../verdict.js'
import { isCookiePath, type CookieSetting } from './cookie-path.js'
import type { SessionCookie, SignedCookie } from './cookie.js'
import type { OriginCheck } from './origin.js'

/** What `authenticate()` says of a request. */
export type Verdict =
  /** `context` is undefined for an anonymous request that was accepted. */
  | { readonly accepted: true; readonly context: SessionContext | undefined }
  | { readonly accepted: false; readonly refusal: Refusal }

/** What the handshake asks, stage by stage. */
export interface HandshakeParts {
  readonly isOriginAllowed: OriginCheck
  readonly cookie: SessionCookie
  readonly cookieSetting: CookieSetting
  readonly hasRoom: (sessionID: string) => boolean
  readonly load: (sessionID: string) => Promise<StoredSession | undefined>
  readonly authorize: Authorize | undefined
  readonly reports: Reports
}

/** A session that was found and may connect. */
export interface Admission {
  readonly sessionID: string
  readonly session: SessionSnapshot
  readonly handshake: HandshakeInfo
}

/** The stages between the upgrade and the 101. */
export class Handshake {
  readonly #parts: HandshakeParts

  constructor(parts: HandshakeParts) {
    this.#parts = parts
  }

  /** Judges a request. Never rejects. */
  async judge(request: IncomingMessage): Promise<Admission | Refusal> {
    const proof = this.#identify(request)
    if ('reason' in proof) return proof
    const { sessionID } = proof
    if (!this.#parts.hasRoom(sessionID)) return refusalOf('too-many-sockets')
    const session = await this.#load(sessionID)
    if ('reason' in session) return session
    const handshake = handshakeInfoOf(request)
    const refusal = await this.#authorize(session.snapshot, request, handshake)
    return refusal ?? { sessionID, session: session.snapshot, handshake }
  }

  /* No store call, nothing that costs, for a request that one of these refuses. */
  #identify(request: IncomingMessage): SignedCookie | Refusal {
    const { isOriginAllowed, cookie, cookieSetting, reports } = this.#parts
    try {
      if (!isOriginAllowed(request)) return refusalOf('origin-denied')
      if (!isCookiePath(request, cookieSetting)) return refusalOf('no-cookie')
    } catch (error) {
      reports.fault('origins', error)
      return refusalOf('authorize-failed', asError(error))
    }
    const proof = cookie.read(request.headers.cookie)
    return typeof proof === 'string' ? refusalOf(proof) : proof
  }

  async #load(sessionID: string): Promise<{ snapshot: SessionSnapshot } | Refusal> {
    const { load, reports } = this.#parts
    let stored: StoredSession | undefined
    try {
      stored = await load(sessionID)
    } catch (error) {
      return refusalOf('store-failed', asStoreError(error))
    }
    if (stored === undefined) return refusalOf('no-session')
    if (stored.expiresAt !== undefined && stored.expiresAt <= Date.now()) return refusalOf('session-expired')
    try {
      return { snapshot: snapshotOf(stored.record) }
    } catch (error) {
      reports.fault('record', error)
      return refusalOf('no-session')
    }
  }

  async #authorize(
    session: SessionSnapshot,
    request: IncomingMessage,
    handshake: HandshakeInfo,
  ): Promise<Refusal | undefined> {
    const { authorize, reports } = this.#parts
    if (authorize === undefined) return undefined
    try {
      return (await permits(authorize, session, request, handshake)) ? undefined : refusalOf('forbidden')
    } catch (error) {
      reports.fault('authorize', error)
      return refusalOf('authorize-failed', asError(error))
    }
  }
}

/* authenticate() may be given an Express request, whose `url` a router has shortened, or a request without a socket. */
function handshakeInfoOf(request: IncomingMessage & { originalUrl?: string }): HandshakeInfo {
  const socket = request.socket as IncomingMessage['socket'] | undefined
  return Object.freeze({
    url: request.originalUrl ?? request.url ?? '',
    origin: request.headers.origin,
    remoteAddress: socket?.remoteAddress,
    at: Date.now(),
  })
}

function asStoreError(error: unknown): StoreUnavailableError {
  return error instanceof StoreUnavailableError ? error : new StoreUnavailableError(undefined, { cause: error })
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error('Something that is no Error was thrown.', { cause: error })
}
