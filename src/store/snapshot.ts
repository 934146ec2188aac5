/*
 * What a handler sees of a session: plain data, as JSON brings it back.
 */
import type { SessionData } from 'express-session'

import { plainCookie } from './plain-cookie.js'
import type { IsAny, JsonOf } from './json-of.js'
import { plainValue, UnusableRecordError } from './plain-value.js'

export type { JsonOf }
export { RecordTooDeepError, UnusableRecordError } from './plain-value.js'

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

/**
 * The frozen copy of a record.
 *
 * @throws {UnusableRecordError} for a record that express-session's `store.createSession` would throw on, or that has no
 * JSON; {@link RecordTooDeepError} for one that is nested deeper than 200 levels.
 */
export function snapshotOf(record: unknown): SessionSnapshot {
  return plainRecord(record, true) as unknown as SessionSnapshot
}

/** A copy of a snapshot that may be changed. */
export function draftOf(snapshot: SessionSnapshot): SessionDraft {
  return plainRecord(snapshot, false) as unknown as SessionDraft
}

function plainRecord(record: unknown, freeze: boolean): object {
  if (typeof record !== 'object' || record === null) throw new UnusableRecordError('The record is no object.')
  const source = record as Record<string, unknown>
  const plain: Record<string, unknown> = {}
  for (const key in source) {
    if (key === '__proto__') continue
    const value = key === 'cookie' ? plainCookie(source[key], freeze) : plainValue(source[key], key, freeze)
    if (value !== undefined) plain[key] = value
  }
  if (plain.cookie === undefined) plain.cookie = plainCookie(source.cookie, freeze)
  return freeze ? Object.freeze(plain) : plain
}
