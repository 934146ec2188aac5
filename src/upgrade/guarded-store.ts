/*
 * The store behind `request.session`: what a socket saves late must neither revive a session nor erase what others wrote.
 */
import { isDeepStrictEqual } from 'node:util'

import type { Session, SessionData, Store } from 'express-session'

import type { SessionOperations } from '../live/session-operations.js'
import { usableSnapshotOf } from '../store/normalized-session.js'
import { draftOf, snapshotOf, type SessionDraft, type SessionSnapshot } from '../store/snapshot.js'

type Callback<T = void> = ((error?: unknown, value?: T) => void) | undefined
type SessionHolder = Parameters<Store['createSession']>[0]

/** Everything else of the store (`all`, `length`, its events) is as it was. */
export function createGuardedStore(store: Store, operations: SessionOperations): Store {
  const guard = new Guard(store, operations)
  const guarded = new Proxy(store, {
    get(target, name) {
      if (Object.hasOwn(guard, name)) return guard[name as Exclude<keyof Guard, 'adopt'>]
      const value: unknown = Reflect.get(target, name, target)
      // Bound to the store itself: its private fields are not to be had through a proxy.
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
  guards.set(guarded, guard)
  return guarded
}

const guards = new WeakMap<Store, Guard>()

/** A session that express-session has made, as it was then: from now on a save through the guarded store writes what has changed since. */
export function adoptSession(guarded: Store, session: object, loaded: SessionSnapshot): void {
  guards.get(guarded)?.adopt(session, loaded)
}

class Guard {
  readonly #store: Store
  readonly #operations: SessionOperations
  /** What each session was when it was made or last saved: what differs from it is what a save is meant to write. */
  readonly #bases = new WeakMap<object, SessionSnapshot>()
  readonly #saves = new WeakMap<object, Promise<void>>()

  constructor(store: Store, operations: SessionOperations) {
    this.#store = store
    this.#operations = operations
  }

  adopt(session: object, loaded: SessionSnapshot): void {
    this.#bases.set(session, loaded)
  }

  readonly get = (sessionID: string, callback: Callback<SessionData>): void => {
    answer(
      callback,
      this.#operations
        .load(sessionID)
        .then((loaded) =>
          typeof loaded === 'string' ? undefined : (draftOf(loaded.snapshot) as unknown as SessionData),
        ),
    )
  }

  readonly load = (sessionID: string, callback: Callback<Session>): void => {
    this.get(sessionID, (error, record) => {
      if (error || !record) callback?.(error)
      else callback?.(null, this.createSession({ sessionID, sessionStore: this } as unknown as SessionHolder, record))
    })
  }

  readonly set = (sessionID: string, session: SessionData, callback?: Callback): void => {
    answer(callback, this.#save(sessionID, session))
  }

  readonly touch = (sessionID: string, _session: SessionData, callback?: Callback): void => {
    answer(callback, this.#operations.touchByID(sessionID))
  }

  readonly destroy = (sessionID: string, callback?: Callback): void => {
    answer(callback, this.#operations.destroyByID(sessionID))
  }

  readonly createSession = (request: SessionHolder, record: SessionData): Session & SessionData => {
    const base = usableSnapshotOf({ record })
    const session = this.#store.createSession(request, record)
    if (base !== undefined) this.#bases.set(session, base)
    return session
  }

  readonly regenerate = (_request: unknown, callback?: Callback): void => {
    answer(callback, Promise.reject(cannotRegenerate()))
  }

  readonly generate = (): never => {
    throw cannotRegenerate()
  }

  async #save(sessionID: string, session: SessionData): Promise<void> {
    // As it is at the call, like any store takes it.
    const next = snapshotOf(session)
    const before = this.#saves.get(session)
    const saving = this.#saveAfter(before, sessionID, session, next)
    this.#saves.set(session, saving)
    await saving
  }

  /* One save of a session object after the other: each writes what differs from the last one that was written. */
  async #saveAfter(
    before: Promise<void> | undefined,
    sessionID: string,
    session: SessionData,
    next: SessionSnapshot,
  ): Promise<void> {
    await before?.catch(() => undefined)
    const base = this.#bases.get(session)
    await this.#operations.write(sessionID, (draft) => {
      writeWhatChanged(draft, base ?? draft, next)
    })
    this.#bases.set(session, next)
  }
}

type Fields = Record<string, unknown> & Pick<SessionDraft | SessionSnapshot, 'cookie'>

/* Field by field: a field that this session left alone is as others have written it. */
function writeWhatChanged(draft: Fields, base: Fields, next: Fields): void {
  copyDifferences(draft, base, next, 'cookie')
  copyDifferences(draft.cookie as never, base.cookie as never, next.cookie as never, 'expires')
}

function copyDifferences(
  draft: Record<string, unknown>,
  base: Record<string, unknown>,
  next: Record<string, unknown>,
  apart: string,
): void {
  for (const key of new Set([...Object.keys(base), ...Object.keys(next)])) {
    if (key === apart || isDeepStrictEqual(base[key], next[key])) continue
    if (next[key] === undefined) Reflect.deleteProperty(draft, key)
    else draft[key] = next[key]
  }
}

/* A turn later: what a callback throws is the callback's own affair, and no rejection of ours. */
function answer<T>(callback: Callback<T>, result: Promise<T | undefined>): void {
  result.then(
    (value) => setImmediate(() => callback?.(null, value)),
    (error: unknown) => setImmediate(() => callback?.(error)),
  )
}

function cannotRegenerate(): Error {
  return new Error(
    'A WebSocket has no response that could set the new cookie: regenerate the session in an HTTP request. ' +
      'Its sockets are closed with 4401 then and come back with the new cookie.',
  )
}
