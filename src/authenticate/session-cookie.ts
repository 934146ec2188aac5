/*
 * The session cookie, read exactly as express-session reads it.
 */
import { createHmac, createSecretKey, KeyObject, timingSafeEqual } from 'node:crypto'

import { parse, serialize } from 'cookie'

import type { Secret } from '../internal/secrets.js'
import type { RefusalReason } from '../refusals.js'

/** A session ID that a signature proves. */
export interface SignedCookie {
  readonly sessionID: string
  /** The signed value, before it is encoded for a header: a renewed cookie needs no second signature. */
  readonly value: string
  /** Signed by another secret than the first: it should be signed anew. */
  readonly outdated: boolean
}

/** Why a Cookie header proves no session ID. */
export type CookieRefusal = Extract<RefusalReason, 'no-cookie' | 'unsigned-cookie' | 'bad-signature' | 'no-session'>

/** Reads and writes the session cookie of one express-session configuration. */
export interface SessionCookie {
  readonly name: string
  read(header: string | undefined): SignedCookie | CookieRefusal
  /** The signed value, before it is encoded for a header. */
  sign(sessionID: string): string
}

/** Makes the reader for a cookie name and its secrets. All secrets verify, in order; the first signs. */
export function createSessionCookie(name: string, secrets: readonly Secret[]): SessionCookie {
  const keys = secrets.map(keyOf)
  const [signingKey] = keys
  if (signingKey === undefined) throw new TypeError('Option `session.secret` is required.')
  return {
    name,
    sign: (sessionID) => `s:${sessionID}.${signatureOf(sessionID, signingKey)}`,
    read(header) {
      const value = valueOf(header, name)
      if (value === undefined || value === '') return 'no-cookie'
      if (!value.startsWith('s:')) return 'unsigned-cookie'
      const dot = value.lastIndexOf('.')
      if (dot === -1) return 'bad-signature'
      const sessionID = value.slice(2, dot)
      const signature = value.slice(dot + 1)
      for (const key of keys) {
        if (!isSignature(signature, sessionID, key)) continue
        // express-session makes a new session where the ID is empty (index.js, `if (!req.sessionID)`).
        return sessionID === '' ? 'no-session' : { sessionID, value, outdated: key !== signingKey }
      }
      return 'bad-signature'
    },
  }
}

/** HMAC-SHA256 in base64, without the `=` at its end. */
const signatureLength = 43

/*
 * What the package `cookie-signature` computes. That package is CommonJS, and esbuild cannot put its `require('crypto')` into
 * an ESM bundle. (Its speed is no reason: 2.65 µs for each cookie, against 2.45 µs here.)
 */
function signatureOf(sessionID: string, key: KeyObject): string {
  return createHmac('sha256', key).update(sessionID).digest('base64').slice(0, signatureLength)
}

/* Made once: what is compared is written here, and read in the same call. */
const given = Buffer.alloc(signatureLength)
const computed = Buffer.alloc(signatureLength)

/* The texts are compared, not the bytes that they stand for: base64 has several texts for the same bytes. */
function isSignature(signature: string, sessionID: string, key: KeyObject): boolean {
  // One character of more than a byte, and it would not fit.
  if (signature.length !== signatureLength || Buffer.byteLength(signature) !== signatureLength) return false
  given.write(signature)
  computed.write(signatureOf(sessionID, key))
  return timingSafeEqual(given, computed)
}

/** `name=value` as a browser would send it back. */
export function cookiePair(cookie: SessionCookie, sessionID: string): string {
  return serialize(cookie.name, cookie.sign(sessionID))
}

/*
 * `cookie` 0.7 is the parser of express-session itself, so splitting, quoting and duplicates are the same by construction.
 * Its decoding of every cookie is put off to the one that is asked for.
 */
function valueOf(header: unknown, name: string): string | undefined {
  // A request that another server's adapter made may hold anything here.
  if (typeof header !== 'string' || !header.includes(name)) return undefined
  const value = parse(header, undecoded)[name]
  return value?.includes('%') === true ? decoded(value) : value
}

const undecoded = { decode: (value: string): string => value }

function decoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

/* A key made once spares every HMAC the making of it. */
function keyOf(secret: Secret): KeyObject {
  if (secret instanceof KeyObject) return secret
  return typeof secret === 'string' ? createSecretKey(secret, 'utf8') : createSecretKey(secret)
}
