/*
 * What a user may set, checked once.
 */
import type { SessionOptions, Store } from 'express-session'

import type { CookieSetting } from './authenticate/cookie-path.js'
import type { Origins } from './authenticate/origin.js'
import { parseOriginList } from './authenticate/origin-list.js'
import { assertChannel, type Channel } from './channel/channel.js'
import type { Authorize } from './live/authorize.js'
import type { Identify } from './live/identify.js'
import type { KeepAliveMode } from './live/touch-times.js'
import { isObject } from './internal/is-object.js'
import { assertDurationMs, assertKnown, assertObject } from './internal/option-checks.js'
import { secretsOf } from './internal/secrets.js'
import type { LiveStore } from './store/live-store.js'

/** The options of {@link createSessionBridge}. Only `session` is required. A wrong or unknown one is a `TypeError` that names it. */
export interface SessionBridgeOptions {
  /**
   * The very object given to express-session: `app.use(session(sessionOptions))`.
   *
   * `store` and `secret` are required here: without a `store`, express-session makes a MemoryStore of its own that nothing
   * else can reach. `name` (or `key`), `cookie`, `rolling` and `proxy` are honored. All secrets verify; the first signs. A
   * list of secrets is read anew each time, so that you may change the secrets while the app runs. The cookie is read as
   * express-session reads it (its index.js, `getcookie`), and outside `cookie.path` there is none.
   */
  session: SessionOptions & { key?: string | undefined }
  /**
   * Where to hear of changes and how to write atomically. Default: the session store, by its own methods, the calls that
   * this process makes to it, and revalidation. It belongs to one bridge, whose `close()` closes it.
   */
  live?: LiveStore | undefined
  /**
   * How the processes of one app talk to each other: `redisChannel`, `postgresChannel`, `clusterChannel`, or one of your own. Default:
   * that of `live` if it brings one, else none, and this process is alone.
   *
   * Without `live`, what each process does to the store is told there, and the others look at once. What is told is signed by the first
   * secret and holds no session ID. It belongs to one bridge, whose `close()` closes it, and is a `TypeError` for a second one.
   */
  channel?: Channel | undefined
  /**
   * Which pages may connect. Default `'same-origin'`.
   *
   * - `'same-origin'`: the Origin's host and port equal the request's Host, and on an encrypted socket its scheme is https.
   * - a list: http(s) origins such as `'https://app.example.com'`, origins of app shells such as `'capacitor://localhost'` and
   *   `'file://'`, `'null'`, and `'same-origin'`. They are compared exactly as browsers and shells send them.
   * - a function: asked for every single value, `'null'` included. It answers true or false, at once; anything else, and
   *   throwing, refuses with `authorize-failed` (500) and emits `fault`.
   * - `'any'`: the check is off; any web page can then open a socket as the user who visits it.
   *
   * Several values in one header (RFC 6454, section 7.1) are refused, except with `'any'`.
   */
  origins?: Origins | undefined
  /**
   * Refuse a request that has no Origin at all. Default `false`: on an upgrade that is no browser, for browsers must send
   * one (RFC 6455, section 4.1).
   *
   * Where there is none, a `Sec-Fetch-Site` other than `same-origin` or `none` is refused all the same.
   */
  requireOrigin?: boolean | undefined
  /**
   * Compare `'same-origin'` with the last `X-Forwarded-Host`, and believe `X-Forwarded-Proto` where a `secure` cookie is to be
   * renewed, as with express-session's `proxy`. Default `false`. Only behind a proxy that sets them.
   */
  trustProxy?: boolean | undefined
  /**
   * Who may connect, and stay, by what the session says. Default: any session. Returns `true` or `false`, or a promise of one.
   *
   * Asked at the handshake, and again whenever the session of an open connection changes, then with `undefined` in place of the
   * request. A no refuses as `forbidden` (403), and closes with 4403 later. Throwing, or a yes that is not `true`, is a `fault`:
   * it refuses with `authorize-failed` (500), and later counts as a check that failed (see `unverifiedMs`).
   */
  authorize?: Authorize | undefined
  /**
   * Whose session it is: the user's ID in your app, `undefined` or `null` for no user. Default: no users.
   *
   * Synchronous and without side effects; asked once for every new snapshot of a session. A number is taken as its decimal text.
   * Throwing, or answering anything else, is a `fault`, and the session counts as one without a user.
   */
  identify?: Identify | undefined
  /**
   * Connections of one user in this process, all sessions together, from 1 to Infinity. Default Infinity; one more is answered 429,
   * or closed with 1008 by `bind`. Needs `identify`.
   */
  maxSocketsPerUser?: number | undefined
  /**
   * How often `authorize` is asked again although the session has not changed, in ms, above 0 and below 2^31, for permissions that
   * are kept elsewhere. Default Infinity: never. The questions are spread out over the time.
   */
  reauthorizeMs?: number | undefined
  /**
   * `'accept'` lets `no-cookie`, `no-session` and `session-expired` through, with no context, no `request.session`, and without
   * asking `authorize`. An unsigned or forged cookie is refused always. Default `'refuse'`.
   */
  anonymous?: 'refuse' | 'accept' | undefined
  /**
   * How a refusal is told. Default `'status'`: by an HTTP answer instead of the 101, which no script in a browser can read.
   *
   * `'close'`: by a 101 and at once a close frame, whose code it can. The price: a refused client is a WebSocket for a moment,
   * sees 'open' before 'close', and costs a handshake's answer; counts of 401s in a proxy's log stay empty.
   */
  refuseWith?: 'status' | 'close' | undefined
  /** From the upgrade to the 101, everything included, in ms, above 0 and below 2^31. Default 5 000; then the answer is 503. */
  handshakeTimeoutMs?: number | undefined
  /** Handshakes under way, from 1 to Infinity. Default 10 000; one more is answered 503, with `Retry-After`. */
  maxPending?: number | undefined
  /** Connections of one session in this process. Default Infinity; one more is answered 429, or closed with 1008 by `bind`. */
  maxSocketsPerSession?: number | undefined
  /**
   * What keeps a session from expiring: its sockets' inbound messages (pings and pongs are none), being connected, or HTTP
   * alone. Default `'messages'`.
   *
   * The first message touches at once, then at most one touch in min(60 s, maxAge / 4) for a session. The handshake itself
   * touches nothing (`rolling` does).
   */
  keepAlive?: KeepAliveMode | undefined
  /**
   * How often a connected session is checked without a reported change, in ms, above 0 and below 2^31. Default 300 000 with
   * `live`, else 30 000: changes by other processes are found so.
   */
  revalidateMs?: number | undefined
  /**
   * How long a connection may stay while its session cannot be checked, in ms, above 0 and below 2^31, from the first check that
   * failed. Default 60 000; then it ends as `unverified` (1013).
   */
  unverifiedMs?: number | undefined
}

/** The options with everything filled in. */
export interface ResolvedOptions {
  readonly store: Store
  /** The array of the app, which may change it. */
  readonly secrets: readonly unknown[]
  readonly cookieName: string
  readonly cookieSetting: CookieSetting
  readonly origins: Origins
  readonly requireOrigin: boolean
  readonly trustProxy: boolean
  readonly rolling: boolean
  /** express-session's default, which undoes logouts. */
  readonly resave: boolean
  /** Whether X-Forwarded-Proto is to be believed: express-session's `proxy`, or `trustProxy`. */
  readonly trustProto: boolean
  readonly live: LiveStore | undefined
  readonly channel: Channel | undefined
  readonly authorize: Authorize | undefined
  readonly anonymous: 'refuse' | 'accept'
  readonly refuseWith: 'status' | 'close'
  readonly keepAlive: KeepAliveMode
  readonly revalidateMs: number
  readonly unverifiedMs: number
  readonly handshakeTimeoutMs: number
  readonly maxPending: number
  readonly maxSocketsPerSession: number
  readonly identify: Identify | undefined
  readonly maxSocketsPerUser: number
  readonly reauthorizeMs: number
}

/* Listed so that a misspelt option is an error, not a check that is silently off. */
const names: Record<keyof SessionBridgeOptions, true> = {
  session: true,
  live: true,
  channel: true,
  origins: true,
  requireOrigin: true,
  trustProxy: true,
  authorize: true,
  anonymous: true,
  refuseWith: true,
  handshakeTimeoutMs: true,
  maxPending: true,
  maxSocketsPerSession: true,
  identify: true,
  maxSocketsPerUser: true,
  reauthorizeMs: true,
  keepAlive: true,
  revalidateMs: true,
  unverifiedMs: true,
}

/** @throws {TypeError} that names the option and says what to do. */
export function resolveOptions(options: SessionBridgeOptions): ResolvedOptions {
  assertObject(options, 'createSessionBridge: the options', '{ session: sessionOptions }')
  assertKnown(options, Object.keys(names), 'Option')
  const { session } = options
  if (typeof session === 'function') {
    throw new TypeError(
      'Option `session` is a function, such as the middleware that `session(…)` of express-session returns: pass the object ' +
        'of options that it was made with.',
    )
  }
  if (!isObject(session)) {
    throw new TypeError('Option `session` is required: pass the very object that express-session gets.')
  }
  return {
    store: storeOf(session.store),
    secrets: secretsOf(session.secret, 'Option `session.secret`'),
    cookieName: cookieNameOf(session),
    cookieSetting: cookieSettingOf(session.cookie),
    origins: originsOf(options.origins),
    requireOrigin: flag('requireOrigin', options.requireOrigin),
    trustProxy: flag('trustProxy', options.trustProxy),
    rolling: Boolean(session.rolling),
    // express-session, index.js: `opts.resave`, true where it is left out.
    resave: session.resave !== false,
    trustProto: session.proxy === true || options.trustProxy === true,
    live: liveStoreOf(options.live),
    channel: channelOf(options.channel),
    authorize: functionOf('authorize', options.authorize),
    anonymous: oneOf('anonymous', options.anonymous, ['refuse', 'accept']),
    refuseWith: oneOf('refuseWith', options.refuseWith, ['status', 'close']),
    keepAlive: oneOf('keepAlive', options.keepAlive, ['messages', 'connected', 'never']),
    revalidateMs: durationMs('revalidateMs', options.revalidateMs, options.live === undefined ? 30_000 : 300_000),
    unverifiedMs: durationMs('unverifiedMs', options.unverifiedMs, 60_000),
    handshakeTimeoutMs: durationMs('handshakeTimeoutMs', options.handshakeTimeoutMs, 5_000),
    maxPending: count('maxPending', options.maxPending, 10_000),
    maxSocketsPerSession: count('maxSocketsPerSession', options.maxSocketsPerSession, Infinity),
    identify: functionOf('identify', options.identify),
    maxSocketsPerUser: maxSocketsPerUserOf(options),
    reauthorizeMs:
      options.reauthorizeMs === Infinity ? Infinity : durationMs('reauthorizeMs', options.reauthorizeMs, Infinity),
  }
}

function storeOf(store: Store | undefined): Store {
  if (store === undefined) {
    throw new TypeError(
      'Option `session.store` is required: without one, express-session makes a MemoryStore of its own that the bridge ' +
        'cannot reach. Make a store and give it to both.',
    )
  }
  const methods = ['get', 'set', 'destroy', 'on', 'off', 'createSession'] as const
  const missing = methods.find((method) => !isObject(store) || typeof store[method] !== 'function')
  if (missing !== undefined) {
    throw new TypeError(`Option \`session.store\` has no method \`${missing}\`: pass an express-session Store.`)
  }
  return store
}

function cookieNameOf({ name, key }: SessionBridgeOptions['session']): string {
  // express-session, index.js: `opts.name || opts.key || 'connect.sid'`.
  const cookieName: unknown = (name ?? '') === '' ? ((key ?? '') === '' ? 'connect.sid' : key) : name
  if (typeof cookieName !== 'string' || !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(cookieName)) {
    throw new TypeError('Option `session.name` is no cookie name: use a token such as the default, `connect.sid`.')
  }
  // express-session looks the name up in a plain object, where these are there without any cookie.
  if (cookieName in Object.prototype) {
    throw new TypeError(
      `Option \`session.name\` cannot be ${JSON.stringify(cookieName)}: every object has it. Choose another.`,
    )
  }
  return cookieName
}

function cookieSettingOf(cookie: unknown): CookieSetting {
  if (cookie !== undefined && cookie !== null && typeof cookie !== 'function' && !isObject(cookie)) {
    throw new TypeError('Option `session.cookie` must be an object or a function of the request.')
  }
  return cookie ?? undefined
}

function originsOf(origins: unknown): Origins {
  if (origins === undefined) return 'same-origin'
  if (Array.isArray(origins)) {
    parseOriginList(origins as string[])
    return [...(origins as string[])]
  }
  if (origins === 'same-origin' || origins === 'any') return origins
  if (typeof origins === 'function') return origins as Exclude<Origins, string | readonly string[]>
  throw new TypeError(
    "Option `origins` must be 'same-origin', 'any', a list such as ['https://app.example.com'], or a function.",
  )
}

function liveStoreOf(live: LiveStore | undefined): LiveStore | undefined {
  if (live === undefined) return undefined
  const methods = ['get', 'replace', 'touch', 'destroy', 'watch', 'unwatch', 'onChange', 'close'] as const
  const missing = methods.find((method) => !isObject(live) || typeof live[method] !== 'function')
  if (missing !== undefined) throw new TypeError(`Option \`live\` has no method \`${missing}\`: pass a LiveStore.`)
  return live
}

function channelOf(channel: Channel | undefined): Channel | undefined {
  if (channel !== undefined) assertChannel(channel, 'Option `channel`')
  return channel
}

/* The first choice is the default. */
function oneOf<C extends string>(name: string, value: C | undefined, choices: readonly [C, ...C[]]): C {
  if (value === undefined) return choices[0]
  if (choices.includes(value)) return value
  throw new TypeError(`Option \`${name}\` must be ${choices.map((choice) => `'${choice}'`).join(' or ')}.`)
}

function functionOf<F>(name: string, value: F | undefined): F | undefined {
  if (value !== undefined && typeof value !== 'function') throw new TypeError(`Option \`${name}\` must be a function.`)
  return value
}

function flag(name: string, value: unknown): boolean {
  if (value !== undefined && typeof value !== 'boolean')
    throw new TypeError(`Option \`${name}\` must be true or false.`)
  return value === true
}

function durationMs(name: string, value: unknown, byDefault: number): number {
  if (value === undefined) return byDefault
  assertDurationMs(value, `Option \`${name}\``)
  return value
}

function count(name: string, value: unknown, byDefault: number): number {
  if (value === undefined) return byDefault
  if (typeof value !== 'number' || !(value === Infinity || Number.isInteger(value)) || value < 1) {
    throw new TypeError(`Option \`${name}\` must be a whole number from 1 on, or Infinity.`)
  }
  return value
}

function maxSocketsPerUserOf({ maxSocketsPerUser, identify }: SessionBridgeOptions): number {
  const most = count('maxSocketsPerUser', maxSocketsPerUser, Infinity)
  if (maxSocketsPerUser === undefined || identify !== undefined) return most
  throw new TypeError('Option `maxSocketsPerUser` needs option `identify`, which says whose session it is.')
}
