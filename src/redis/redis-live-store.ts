/*
 * The LiveStore on connect-redis: hears of every change by Redis' client tracking, and writes by compare-and-set.
 */
import type { SessionData } from 'express-session'

import { StoreUnavailableError } from '../errors.js'
import { assertDurationMs, assertOptions } from '../internal/option-checks.js'
import { asStoreError, CallTimeouts } from '../internal/call-timeouts.js'
import { hydrateSession, touched } from '../store/hydrate-session.js'
import type {
  CallReportingLiveStore,
  LiveStore,
  ReplaceResult,
  StoredSession,
  TouchResult,
} from '../store/live-store.js'
import { draftOf, type SessionSnapshot } from '../store/snapshot.js'
import { assertName } from '../channel/channel-name.js'
import type { ChannelProvider } from '../channel/bridge-channel.js'
import { observeStoreCalls, type StoreCall } from '../store/store-calls.js'
import { secondsToLive, type ConnectRedisStore } from './connect-redis-store.js'
import { InvalidationThrottle } from './invalidation-throttle.js'
import { keyPrefixOf, knownKeyPrefixOf } from './key-prefix.js'
import { deploymentOf } from './deployment-of.js'
import type { Deployment } from './deployment.js'
import { TrackingChannel } from './tracking-channel.js'
import { KeyWriter } from './key-writer.js'
import { assertConnectRedisStore, clientError, storeClientError } from './misuse.js'
import { RedisSession, sessionOf, type RawSession } from './redis-session.js'

/** The options of {@link redisLiveStore}. */
export interface RedisLiveStoreOptions {
  /**
   * A client of `redis` 5.9 or newer, made by `createClient`, `createCluster` or `createSentinel`, for a store whose own client
   * cannot be used: that of connect-redis 7 or 8, or one of ioredis. It leads to the same servers and the same database as the
   * store's; its own key prefix counts for nothing. Default: the store's client.
   */
  client?: RedisLiveClient | undefined
  /**
   * Where the processes of one app meet, for what `bridge.everywhere` tells. Default: made of the database and the store's
   * prefix, so that apps on one server do not meet.
   */
  channelName?: string | undefined
  /**
   * How long any call to Redis may take, in ms. Default 2 000. A connection of the bridge's own that lets it pass is thrown
   * away and opened again. Below `handshakeTimeoutMs`, so that a handshake is told the reason.
   */
  timeoutMs?: number | undefined
}

/** A client of `redis` 5.9 or newer, described by what tells it from older ones. */
export interface RedisLiveClient {
  /** Whether `connect()` was called. */
  readonly isOpen: boolean
  /** The same client with other options. */
  withCommandOptions(options: never): unknown
}

/**
 * A LiveStore for sessions that connect-redis keeps: every node hears of every change within milliseconds.
 *
 * Client, prefix, serializer, `ttl`, `disableTTL` and `disableTouch` are the store's own. The client may be that of one
 * server, of a Cluster or of a Sentinel. It opens one connection to the server, or to each of the Cluster's masters, on first
 * use and with the client's settings; it reads and writes on that one, and leaves the client itself alone. It belongs to one
 * bridge, and `createSessionBridge` throws a TypeError where it is given to a second one.
 *
 * @example
 * ```ts
 * const store = new RedisStore({ client })
 * const bridge = createSessionBridge({ session: { ...sessionOptions, store }, live: redisLiveStore(store) })
 * ```
 * @example With connect-redis 7 or 8, or with ioredis: a second client
 * ```ts
 * const store = new RedisStore({ client: new Redis(url) })
 * const client = await createClient({ url }).connect()
 * const bridge = createSessionBridge({ session: { ...sessionOptions, store }, live: redisLiveStore(store, { client }) })
 * ```
 * @throws {TypeError} for anything but a connect-redis store, for a client that it cannot use, and for a wrong or unknown
 *   option. It says what was found.
 */
export function redisLiveStore(store: ConnectRedisStore, options: RedisLiveStoreOptions = {}): LiveStore {
  assertOptions(options, ['client', 'channelName', 'timeoutMs'], 'redisLiveStore', '{ timeoutMs: 2_000 }')
  const { client, channelName, timeoutMs = 2_000 } = options
  if (channelName !== undefined) assertName(channelName, 'redisLiveStore: `channelName`')
  assertDurationMs(timeoutMs, 'redisLiveStore: `timeoutMs`')
  assertConnectRedisStore(store)
  return new RedisLiveStore(store, { client, channelName, timeoutMs })
}

class RedisLiveStore implements CallReportingLiveStore, ChannelProvider {
  readonly channel: TrackingChannel
  readonly #store: ConnectRedisStore
  readonly #deadlines: CallTimeouts
  readonly #deployment: Deployment
  readonly #writer: KeyWriter
  readonly #throttle = new InvalidationThrottle((sessionID) => {
    this.#onChange?.(sessionID)
  })
  /** Of the keys as the servers have them. */
  #prefix: string | undefined
  /** Whether the last session had to be asked for its expiry: the sessions of one app are much alike. */
  #asksExpiry: boolean
  #onChange: ((sessionID: string | undefined) => void) | undefined
  #onFault: (error: Error) => void = () => undefined
  #stopHearing: (() => void) | undefined

  constructor(
    store: ConnectRedisStore,
    { client, channelName, timeoutMs }: RedisLiveStoreOptions & { readonly timeoutMs: number },
  ) {
    this.#store = store
    const keyPrefix = knownKeyPrefixOf(store)
    if (keyPrefix !== undefined) this.#prefix = keyPrefix + store.prefix
    this.#deadlines = new CallTimeouts(timeoutMs)
    const deployment = deploymentOf(
      client ?? store.client,
      { timeoutMs, deadlines: this.#deadlines },
      {
        onInvalidate: (key) => {
          this.#withSessionOf(key, (sessionID) => {
            this.#throttle.announce(sessionID)
          })
        },
        onMissed: (concerns) => {
          if (concerns === undefined) this.#onChange?.(undefined)
          else this.#throttle.missedWhere((sessionID) => concerns(`${this.#prefix ?? ''}${sessionID}`))
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
    if (deployment === undefined) throw client === undefined ? storeClientError(store) : clientError(client)
    this.#deployment = deployment
    this.channel = new TrackingChannel(
      deployment,
      channelName ?? channelNameOf(store, client ?? store.client),
      timeoutMs,
    )
    this.#writer = new KeyWriter(this.#deployment, this.#deadlines, {
      onBegin: (key) => this.#throttle.beginOwnWrite(key.slice(this.#prefix?.length)),
      onAnnounced: (key) => {
        this.#withSessionOf(key, (sessionID) => {
          this.#throttle.expectOwnWrite(sessionID)
        })
      },
      onOvertaken: (key) => {
        this.#withSessionOf(key, (sessionID) => {
          this.#throttle.missed(sessionID)
        })
      },
    })
    this.#asksExpiry = typeof store.ttl === 'function'
  }

  async get(sessionID: string, held?: StoredSession): Promise<StoredSession | undefined> {
    const known = isRaw(held) ? held : undefined
    // Before the read, not after it: what is announced meanwhile may have come later.
    this.#throttle.wasRead(sessionID)
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
      // Not read here, or no usable session: there is no text to compare with.
      const current = await this.get(sessionID)
      return current === undefined ? 'gone' : { changed: current }
    }
    const raw = this.#textOf(sessionID, expected, next)
    const result = await this.#writer.replace(await this.#keyOf(sessionID), expected.raw, raw)
    if (result === 'gone') return 'gone'
    if (result === 'replaced') return { replaced: await this.#parsed(raw, expected.expiresAt, expected.slackMs) }
    // Bytes that are no UTF-8 come back as others: the write would be tried forever.
    if (result.current === expected.raw) throw new StoreUnavailableError('The record is no text that can be compared.')
    return { changed: await this.#parsed(result.current, undefined) }
  }

  async touch(sessionID: string): Promise<'touched' | 'gone'> {
    const stored = await this.#read(sessionID, false, undefined)
    if (!(stored instanceof RedisSession)) return 'gone'
    if (this.#ignoresTouch) return 'touched'
    const result = await this.touchHeld(sessionID, stored)
    if (result === 'gone') return 'gone'
    this.#throttle.missed(sessionID)
    return 'touched'
  }

  async touchHeld(sessionID: string, held: StoredSession): Promise<TouchResult> {
    if (this.#ignoresTouch || !(held instanceof RedisSession)) return await this.touch(sessionID)
    const seconds = secondsToLive(this.#store, touched(hydrateSession(this.#store, sessionID, held.snapshot)))
    const touchedAt = Date.now()
    const raw = await this.#touched(sessionID, seconds)
    if (raw === null || raw === '') return 'gone'
    const now = Date.now()
    if (raw === held.raw) return { touched: held.until(now + seconds * 1000, Math.max(now - touchedAt, 0)) }
    // It was written since, perhaps just now: then that was not announced.
    this.#throttle.missed(sessionID)
    return 'touched'
  }

  async #touched(sessionID: string, seconds: number): Promise<string | null> {
    const key = await this.#keyOf(sessionID)
    const end = this.#throttle.beginOwnWrite(sessionID)
    let isDone = false
    try {
      const { raw } = await this.#deployment.read(key, { touchSeconds: seconds })
      isDone = true
      return raw
    } finally {
      end(isDone)
    }
  }

  async destroy(sessionID: string): Promise<void> {
    await this.#writer.remove(await this.#keyOf(sessionID))
  }

  watch(sessionID: string): void {
    this.#throttle.watch(sessionID)
  }

  unwatch(sessionID: string): void {
    this.#throttle.unwatch(sessionID)
  }

  /* With a second listener, the first bridge would no longer hear of any logout, and nothing would say so. */
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
    await this.channel.close()
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
    const { raw, expiresAt, slackMs } = await this.#deployment.read(await this.#keyOf(sessionID), { withExpiry })
    // connect-redis takes an empty value for none.
    if (raw === null || raw === '') return undefined
    if (raw !== known?.raw) return await this.#readNew(sessionID, await this.#parsed(raw, expiresAt, slackMs))
    if (expiresAt === undefined || !(known instanceof RedisSession) || known.lastsUntil(expiresAt, slackMs))
      return known
    return known.until(expiresAt, slackMs)
  }

  async #readNew(sessionID: string, session: RawSession): Promise<RawSession | undefined> {
    if (!(session instanceof RedisSession)) return session
    this.#asksExpiry = typeof this.#store.ttl === 'function' || session.isUndated
    if (session.expiresAt !== undefined || !this.#asksExpiry) return session
    return await this.#read(sessionID, true, session)
  }

  async #parsed(raw: string, expiresAt: number | undefined, slackMs = 0): Promise<RawSession> {
    try {
      return sessionOf(raw, await this.#store.serializer.parse(raw), expiresAt, slackMs)
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

  get #ignoresTouch(): boolean {
    const { disableTTL, disableTouch } = this.#store
    return disableTTL === true || disableTouch === true
  }

  /* The prefix is known already but for the first time with a store that hides its client. */
  #keyOf(sessionID: string): string | Promise<string> {
    if (this.#prefix !== undefined) return this.#prefix + sessionID
    return this.#findPrefix().then((prefix) => prefix + sessionID)
  }

  async #findPrefix(): Promise<string> {
    const keyPrefix = await this.#deadlines.within(() => keyPrefixOf(this.#store))
    this.#prefix ??= keyPrefix + this.#store.prefix
    return this.#prefix
  }

  #withSessionOf(key: string, then: (sessionID: string) => void): void {
    if (this.#prefix !== undefined && key.startsWith(this.#prefix)) then(key.slice(this.#prefix.length))
  }
}

function isRaw(stored: StoredSession | undefined): stored is RawSession {
  return stored !== undefined && 'raw' in stored
}

/* Pub/sub knows no databases. */
function channelNameOf({ prefix }: ConnectRedisStore, client: unknown): string {
  const { database = 0 } = (client as { readonly options?: { readonly database?: number } }).options ?? {}
  return `ws-session-bridge:${String(database)}:${prefix}`
}
