/*
 * What a handler sees of a session: plain data, as JSON brings it back.
 */
import type { SessionData } from 'express-session'

type Dropped = ((...args: never[]) => unknown) | symbol | undefined
type IsAny<T> = 0 extends 1 & T ? true : false

/** What `JSON.parse(JSON.stringify(value))` makes of a `T`. */
export type JsonOf<T> =
  IsAny<T> extends true
    ? T
    : unknown extends T
      ? T
      : T extends { toJSON(...args: never[]): infer R }
        ? JsonOf<R>
        : T extends string | number | boolean | null
          ? T
          : T extends bigint | Dropped
            ? never
            : T extends ReadonlyMap<unknown, unknown> | ReadonlySet<unknown> | RegExp
              ? Record<string, never>
              : T extends readonly unknown[]
                ? { -readonly [K in keyof T]: JsonElement<T[K]> }
                : T extends object
                  ? JsonObject<T>
                  : never

/** An array keeps its length: what has no JSON becomes `null` there. */
type JsonElement<T> = JsonOf<Exclude<T, Dropped>> | (Extract<T, Dropped> extends never ? never : null)

/** An object loses what has no JSON; what may be missing becomes optional. */
type JsonObject<T> = {
  -readonly [K in keyof T as KeptKey<T, K, false>]: JsonOf<T[K]>
} & {
  -readonly [K in keyof T as KeptKey<T, K, true>]?: JsonOf<Exclude<T[K], Dropped>>
} extends infer O
  ? { [K in keyof O]: O[K] }
  : never

type KeptKey<T, K extends keyof T, Optional extends boolean> = K extends symbol
  ? never
  : IsAny<T[K]> extends true
    ? Optional extends IsOptional<T, K>
      ? K
      : never
    : [Exclude<T[K], Dropped>] extends [never]
      ? never
      : Optional extends (Extract<T[K], Dropped> extends never ? IsOptional<T, K> : true)
        ? K
        : never

type IsOptional<T, K extends keyof T> = object extends Pick<T, K> ? (string extends K ? false : true) : false

type DeepReadonly<T> =
  IsAny<T> extends true
    ? T
    : T extends string | number | boolean
      ? T
      : T extends object
        ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
        : T

/** The cookie of a session as its record keeps it. */
export interface SessionCookieData {
  /** How long the session was made to live, in ms; `null` for one that ends with the browser. */
  originalMaxAge: number | null
  /** ISO date as of the last write of the record, which may be older than the store's own expiry; `null` if none. */
  expires: string | null
  /** The path it is sent for. */
  path: string
  /** Whether it is kept from scripts. */
  httpOnly: boolean
  /** Whether it is sent over TLS only; `'auto'`: if the request was. */
  secure?: boolean | 'auto'
  /** For which sites' requests it is sent. */
  sameSite?: boolean | 'lax' | 'strict' | 'none'
  /** The hosts it is sent to; absent: the one that set it. */
  domain?: string
  /** Which cookies a browser drops first. */
  priority?: 'low' | 'medium' | 'high'
  /** Whether each top-level site has one of its own. */
  partitioned?: boolean
}

/**
 * A session as plain data that can be changed: what JSON makes of your `SessionData`, so a Date is a string, and there are no
 * methods. Every field of yours may be missing, as on `req.session`.
 */
export type SessionDraft = {
  [K in keyof JsonOf<WithoutCookie<SessionData>>]?: JsonOf<WithoutCookie<SessionData>>[K]
} & {
  cookie: SessionCookieData
}

/** A session as a handler sees it: plain data like a {@link SessionDraft}, but frozen all the way down. */
export type SessionSnapshot = DeepReadonly<SessionDraft>

/** SessionData without its cookie; unlike `Omit`, it keeps an index signature's named neighbours. */
type WithoutCookie<T> = { [K in keyof T as K extends 'cookie' ? never : K]: T[K] }

/** A record that express-session could not make a session of. */
class UnusableRecordError extends TypeError {}

/**
 * The frozen copy of a record.
 *
 * @throws {TypeError} for a record that express-session's `store.createSession` would throw on, or that has no JSON.
 */
export function snapshotOf(record: unknown): SessionSnapshot {
  return cleanSession(record, true) as unknown as SessionSnapshot
}

/** A copy of a snapshot that may be changed. */
export function draftOf(snapshot: SessionSnapshot): SessionDraft {
  return cleanSession(snapshot, false) as unknown as SessionDraft
}

function cleanSession(record: unknown, freeze: boolean): object {
  if (typeof record !== 'object' || record === null) throw new UnusableRecordError('The record is no object.')
  const source = record as Record<string, unknown>
  const clean: Record<string, unknown> = {}
  for (const key in source) {
    if (key === '__proto__') continue
    const value = key === 'cookie' ? cleanCookie(source[key], freeze) : cleanValue(source[key], key, freeze)
    if (value !== undefined) clean[key] = value
  }
  if (clean.cookie === undefined) clean.cookie = cleanCookie(source.cookie, freeze)
  return freeze ? Object.freeze(clean) : clean
}

/*
 * As `new Cookie(record.cookie)` reads it (express-session, session/cookie.js and Store.createSession): null and undefined
 * throw, other falsy values mean the defaults, anything else must be an object with a `maxAge` it can take.
 */
function cleanCookie(cookie: unknown, freeze: boolean): object {
  if (cookie === null || cookie === undefined) throw new UnusableRecordError('The record has no cookie.')
  if (cookie === '' || cookie === 0 || cookie === false) return cleanCookie({}, freeze)
  if (typeof cookie !== 'object') throw new UnusableRecordError("The record's cookie is no object.")
  const source = toPlain(cookie, 'cookie') as Record<string, unknown>
  const { maxAge, originalMaxAge, expires } = cookie as Record<string, unknown>
  if (maxAge && typeof maxAge !== 'number' && !(maxAge instanceof Date)) {
    throw new UnusableRecordError("The record's cookie has a maxAge that is no number.")
  }
  const clean: Record<string, unknown> = {
    originalMaxAge: typeof originalMaxAge === 'number' ? originalMaxAge : null,
    expires: isoDate(expires),
    path: '/',
    httpOnly: true,
  }
  for (const key in source) {
    if (key === '__proto__' || key === 'originalMaxAge' || key === 'expires' || key === 'maxAge' || key === '_expires')
      continue
    const value = cleanValue(source[key], key, freeze)
    if (value !== undefined) clean[key] = value
  }
  return freeze ? Object.freeze(clean) : clean
}

function isoDate(expires: unknown): string | null {
  if (typeof expires === 'string') return Number.isNaN(Date.parse(expires)) ? null : expires
  return expires instanceof Date && !Number.isNaN(expires.valueOf()) ? expires.toISOString() : null
}

/* The rules of JSON.stringify (ECMA-262, SerializeJSONProperty); a key `__proto__` is dropped, so no copy has a foreign prototype. */
function cleanValue(value: unknown, key: string, freeze: boolean): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      // JSON knows no NaN, no Infinity and no -0.
      return Number.isFinite(value) ? value + 0 : null
    case 'object':
      return value === null ? null : cleanObject(value, key, freeze)
    case 'bigint':
      throw new UnusableRecordError('The record holds a BigInt, which has no JSON.')
    default:
      return undefined
  }
}

function cleanObject(object: object, key: string, freeze: boolean): unknown {
  const plain = toPlain(object, key)
  // What toJSON returns is not asked for its own toJSON.
  return typeof plain === 'object' && plain !== null ? cleanPlain(plain, freeze) : cleanValue(plain, key, freeze)
}

function cleanPlain(object: object, freeze: boolean): unknown {
  if (Array.isArray(object)) return cleanArray(object, freeze)
  if (object instanceof Number || object instanceof String || object instanceof Boolean) {
    return cleanValue(object.valueOf(), '', freeze)
  }
  const source = object as Record<string, unknown>
  const clean: Record<string, unknown> = {}
  for (const name of Object.keys(source)) {
    if (name === '__proto__') continue
    const value = cleanValue(source[name], name, freeze)
    if (value !== undefined) clean[name] = value
  }
  return freeze ? Object.freeze(clean) : clean
}

/* By index, which unlike `map` also visits holes, and costs a fifth of Array.from. An array that is pushed to has room for 17. */
function cleanArray(source: readonly unknown[], freeze: boolean): readonly unknown[] {
  const clean = new Array<unknown>(source.length)
  for (let index = 0; index < clean.length; index += 1) {
    clean[index] = cleanValue(source[index], String(index), freeze) ?? null
  }
  return freeze ? Object.freeze(clean) : clean
}

function toPlain(object: object, key: string): unknown {
  const { toJSON } = object as { toJSON?: unknown }
  return typeof toJSON === 'function' ? (toJSON as (key: string) => unknown).call(object, key) : object
}
