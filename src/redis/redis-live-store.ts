/*
 * The LiveStore on connect-redis: hears of every change by Redis' client tracking, and writes by compare-and-set.
 */
import type { SessionData } from 'express-session'

import { StoreUnavailableError } from '../errors.js'
import { assertDurationMs, assertKnown } from '../internal/option-checks.js'
import { asStoreError, CallTimeouts } from '../internal/call-timeouts.js'
import { hydrateSession } from '../store/hydrate-session.js'
import type { LiveStore, ReplaceResult, StoredSession } from '../store/live-store.js'
import { draftOf, type SessionSnapshot } from '../store/snapshot.js'
import { observeStoreCalls, type StoreCall } from '../store/store-calls.js'
import type { ConnectRedisStore } from './connect-redis-store.js'
import { InvalidationThrottle } from './invalidation-throttle.js'
import { deploymentOf } from './deployment-of.js'
import type { Deployment } from './deployment.js'
import { KeyWriter } from './key-writer.js'
import { RedisSession, sessionOf, type RawSession } from './redis-session.js'

/** The options of {@link redisLiveStore}. */
export interface RedisLiveStoreOptions {
  /**
   * How long any call to Redis may take, in ms. Default 2 000. A connection of the bridge's own that lets it pass is thrown
   * away and opened again. Below `handshakeTimeoutMs`, so that a handshake is told the reason.
   */
  timeoutMs?: number | undefined
}

/** PTTL counts in whole ms and its answer takes a while: two that differ by no more say the same. */
const expiryToleranceMs = 20

/**
 * A LiveStore for sessions that connect-redis keeps: every node hears of every change within milliseconds.
 *
 * Client, prefix, serializer, `ttl`, `disableTTL` and `disableTouch` are the store's own. The client may be that of one
 * server, of a Cluster or of a Sentinel. It opens one connection to the server, or to each of the Cluster's masters, on first
 * use and with the client's settings; what it writes goes through the client itself. It belongs to one bridge, and
 * `createSessionBridge` throws a TypeError where it is given to a second one.
 *
 * @example
 * ```ts
 * const store = new RedisStore({ client })
 * const bridge = createSessionBridge({ session: { ...sessionOptions, store }, live: redisLiveStore(store) })
 * ```
 * @throws {TypeError} for anything but a connect-redis store on a client of `redis`, and for a wrong or unknown option.
 */
export function redisLiveStore(store: ConnectRedisStore, options: RedisLiveStoreOptions = {}): LiveStore {
  assertKnown(options, ['timeoutMs'], 'redisLiveStore: option')
  const { timeoutMs = 2_000 } = options
  assertDurationMs(timeoutMs, 'redisLiveStore: `timeoutMs`')
  return new RedisLiveStore(store, timeoutMs)
}

class RedisLiveStore implements LiveStore {
  readonly #store: ConnectRedisStore
  readonly #deadlines: CallTimeouts
  readonly #deployment: Deployment
  readonly #writer: KeyWriter
  readonly #throttle = new InvalidationThrottle((sessionID) => {
    this.#onChange?.(sessionID)
  })
  /** What the last session needed the next one needs, too: the sessions of one app are much alike. */
  #asksExpiry: boolean
  #onChange: ((sessionID: string | undefined) => void) | undefined
  #onFault: (error: Error) => void = () => undefined
  #stopHearing: (() => void) | undefined

  constructor(store: ConnectRedisStore, timeoutMs: number) {
    this.#store = store
    this.#deadlines = new CallTimeouts(timeoutMs)
    this.#deployment = deploymentOf(
      store,
      { timeoutMs, deadlines: this.#deadlines },
      {
        onInvalidate: (key) => {
          if (key.startsWith(this.#prefix)) this.#throttle.announce(key.slice(this.#prefix.length))
        },
        onMissed: (concerns) => {
          if (concerns === undefined) this.#onChange?.(undefined)
          else this.#throttle.missedWhere((sessionID) => concerns(this.#prefix + sessionID))
        },
        onTracked: () => {
          this.#stopHearing?.()
          this.#stopHearing = undefined
        },
        onRefused: (cause) => {
          this.#stopHearing ??= observeStoreCalls(store, this.#onCall)
          this.#onFault(
            new Error(
              'Redis refuses CLIENT TRACKING: what other processes change is not heard, and looked for every 30 s.',
              { cause },
            ),
          )
        },
      },
    )
    this.#writer = new KeyWriter(this.#deployment, this.#deadlines)
    this.#asksExpiry = typeof store.ttl === 'function'
  }

  async get(sessionID: string, held?: StoredSession): Promise<StoredSession | undefined> {
    const known = isRaw(held) ? held : undefined
    try {
      // What is held is read again because something may have moved, and that may be the expiry alone.
      const found = await this.#read(sessionID, known !== undefined || this.#asksExpiry, known)
      if (known !== undefined && found !== known) this.#throttle.giveBack(sessionID)
      return found
    } catch (error) {
      throw asStoreError(error)
    }
  }

  async replace(sessionID: string, expected: StoredSession, next: SessionData): Promise<ReplaceResult> {
    if (!(expected instanceof RedisSession)) {
      // Read by somebody else, or no session at all: nothing that one could compare with.
      const current = await this.get(sessionID)
      return current === undefined ? 'gone' : { changed: current }
    }
    const raw = this.#textOf(sessionID, expected, next)
    const result = await this.#writer.replace(this.#keyOf(sessionID), expected.raw, raw)
    if (result === 'gone') return 'gone'
    if (result === 'replaced') {
      this.#throttle.expectOwnWrite(sessionID)
      return { replaced: await this.#parsed(raw, expected.expiresAt) }
    }
    // Bytes that are no UTF-8 come back as others: it would be tried for ever.
    if (result.current === expected.raw) throw new StoreUnavailableError('The record is no text that can be compared.')
    return { changed: await this.#parsed(result.current, undefined) }
  }

  async touch(sessionID: string): Promise<'touched' | 'gone'> {
    const stored = await this.#read(sessionID, false, undefined)
    if (!(stored instanceof RedisSession)) return 'gone'
    const { disableTTL, disableTouch } = this.#store
    if (disableTTL || disableTouch) return 'touched'
    const seconds = secondsToLive(this.#store, hydrateSession(this.#store, sessionID, stored.snapshot).touch())
    return (await this.#writer.expire(this.#keyOf(sessionID), seconds)) ? 'touched' : 'gone'
  }

  async destroy(sessionID: string): Promise<void> {
    await this.#writer.remove(this.#keyOf(sessionID))
  }

  watch(sessionID: string): void {
    this.#throttle.watch(sessionID)
  }

  unwatch(sessionID: string): void {
    this.#throttle.unwatch(sessionID)
  }

  /* With a second listener the first bridge would hear of no logout any more, and nobody would notice. */
  onChange(listener: (sessionID: string | undefined) => void): void {
    if (this.#onChange !== undefined) {
      throw new TypeError(
        'Option `live`: this LiveStore belongs to another bridge, and tells its changes to that one alone. ' +
          'Make one for each: `live: redisLiveStore(store)`.',
      )
    }
    this.#onChange = listener
  }

  onFault(listener: (error: Error) => void): void {
    this.#onFault = listener
  }

  async close(): Promise<void> {
    const closed = this.#deployment.close()
    this.#stopHearing?.()
    this.#writer.close()
    this.#throttle.close()
    this.#deadlines.close()
    await closed
  }

  /* Without tracking, what this process does to the store is at least heard here, as of any other store. */
  readonly #onCall = ({ sessionID }: StoreCall): void => {
    if (sessionID === undefined) this.#onChange?.(undefined)
    else this.#throttle.missed(sessionID)
  }

  async #read(sessionID: string, withExpiry: boolean, known: RawSession | undefined): Promise<RawSession | undefined> {
    const { raw, expiresAt } = await this.#deployment.read(this.#keyOf(sessionID), withExpiry)
    // connect-redis takes an empty value for none.
    if (raw === null || raw === '') return undefined
    if (raw !== known?.raw) return await this.#readNew(sessionID, await this.#parsed(raw, expiresAt))
    if (expiresAt === undefined || !(known instanceof RedisSession) || lastsAsKnown(known, expiresAt)) return known
    return known.until(expiresAt)
  }

  async #readNew(sessionID: string, session: RawSession): Promise<RawSession | undefined> {
    if (!(session instanceof RedisSession)) return session
    this.#asksExpiry = typeof this.#store.ttl === 'function' || session.isUndated
    if (session.expiresAt !== undefined || !this.#asksExpiry) return session
    return await this.#read(sessionID, true, session)
  }

  async #parsed(raw: string, expiresAt: number | undefined): Promise<RawSession> {
    try {
      return sessionOf(raw, await this.#store.serializer.parse(raw), expiresAt)
    } catch (cause) {
      throw new StoreUnavailableError("The session store's serializer could not read a record.", { cause })
    }
  }

  /* As HTTP would write it. The cookie's date stays: the key keeps its expiry, and the date must never be later. */
  #textOf(sessionID: string, expected: RedisSession, next: SessionData): string {
    const draft = draftOf(next as unknown as SessionSnapshot)
    draft.cookie.expires = expected.snapshot.cookie.expires
    return this.#store.serializer.stringify(hydrateSession(this.#store, sessionID, draft))
  }

  #keyOf(sessionID: string): string {
    return this.#store.prefix + sessionID
  }

  /* Of the keys as the servers have them. */
  get #prefix(): string {
    return this.#deployment.keyPrefix + this.#store.prefix
  }
}

function isRaw(stored: StoredSession | undefined): stored is RawSession {
  return stored !== undefined && 'raw' in stored
}

/* Nothing that is over lasts as known: that it is not over is news. */
function lastsAsKnown({ expiresAt }: RedisSession, found: number): boolean {
  if (expiresAt === undefined) return false
  return expiresAt === found || (expiresAt > Date.now() && Math.abs(expiresAt - found) <= expiryToleranceMs)
}

/** connect-redis' own rule (`getTTL`, which is private there). */
function secondsToLive({ ttl }: ConnectRedisStore, session: SessionData): number {
  if (typeof ttl === 'function') return ttl(session)
  const { maxAge } = session.cookie
  return typeof maxAge === 'number' ? Math.ceil(maxAge / 1000) : ttl
}
