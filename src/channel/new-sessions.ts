/*
 * Whether a session is so new that no other process can have a connection of it.
 */
import type { IncomingMessage } from 'node:http'

import type { SessionData, Store } from 'express-session'

/** What express-session gives its store when the middleware is made. It leaves the new session in the request. */
type Generate = (this: unknown, request: { readonly session?: unknown }, ...rest: unknown[]) => unknown
type GeneratingStore = Partial<Pick<Store, 'on' | 'off'>> & { generate?: unknown }

/** The sessions that an observed `generate` has made. */
const generated = new WeakSet<object>()
/** Each observed `generate`, with the one of before. */
const originals = new WeakMap<object, Generate>()

/**
 * express-session makes a session's ID by `store.generate`, in the request that first needs one or that regenerates it. Until that session
 * is written for the first time, no store has it, so no process has let a client in with it. Any other session may be known elsewhere: its
 * ID may have come in a body or a message, and its Session may be one that `store.createSession` has made of the record.
 */
export class NewSessions {
  readonly #store: GeneratingStore
  readonly #written = new WeakSet<object>()

  constructor(store: Store) {
    this.#store = store
    // The middleware may be made later: it sets `generate`, and listens to the store right after that.
    this.#store.on?.('newListener', this.#observe)
    this.#observe()
  }

  /** To be asked at each write that the store has answered. */
  isFirstWriteOf(sessionID: string, session: SessionData | undefined): boolean {
    // Whoever else has observed the store may have ended that.
    this.#observe()
    if (session === undefined || !generated.has(session) || this.#written.has(session)) return false
    this.#written.add(session)
    const request = requestOf(session, sessionID)
    return request !== undefined && !carries(request, sessionID)
  }

  /** Leaves the store as it was, unless the app has changed `generate` since. */
  close(): void {
    this.#store.off?.('newListener', this.#observe)
    const original = originals.get(this.#store.generate as object)
    if (original !== undefined) this.#store.generate = original
  }

  readonly #observe = (): void => {
    const { generate } = this.#store
    if (typeof generate === 'function' && !originals.has(generate))
      this.#store.generate = observed(generate as Generate)
  }
}

function observed(generate: Generate): Generate {
  const observing: Generate = function (request, ...rest) {
    const returned = generate.call(this, request, ...rest)
    const { session } = request
    if (typeof session === 'object' && session !== null) generated.add(session)
    return returned
  }
  originals.set(observing, generate)
  return observing
}

/* A Session of express-session has the request that it belongs to. */
function requestOf(session: object, sessionID: string): IncomingMessage | undefined {
  try {
    const { id, req } = session as { id?: unknown; req?: Partial<IncomingMessage> }
    if (id !== sessionID) return undefined
    return Array.isArray(req?.rawHeaders) && typeof req.url === 'string' ? (req as IncomingMessage) : undefined
  } catch {
    return undefined
  }
}

/* An app's `genid` may take the ID from the request: whoever sent it has it from before. */
function carries({ rawHeaders, url, headers }: IncomingMessage, sessionID: string): boolean {
  try {
    return [url ?? '', headers.cookie ?? '', ...rawHeaders].some((text) => decodeURIComponent(text).includes(sessionID))
  } catch {
    return true
  }
}
