/*
 * The session cookie, read exactly as express-session reads it.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'

import { parse, serialize } from 'cookie'

import { isSecret, keyOf, SecretKeys, type Secret } from '../internal/secrets.js'
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
  /** @throws {TypeError} when the list of secrets holds something else by now. */
  read(header: string | undefined): SignedCookie | CookieRefusal
  /**
   * The signed value, before it is encoded for a header.
   *
   * @throws {TypeError} when the list of secrets is empty by now, or holds something else.
   */
  sign(sessionID: string): string
}

/**
 * Makes the reader for a cookie name and its secrets. All secrets verify, in order; the first signs: those that are in the list
 * when a cookie is read or signed (express-session, index.js, `unsigncookie`).
 */
export function createSessionCookie(name: string, secrets: readonly unknown[]): SessionCookie {
  const keys = new SecretKeys(secrets, keyOf)
  // The bytes of a Buffer may change, too.
  const currentKey = (secret: unknown): Key =>
    isSecret(secret) && typeof secret !== 'string' ? secret : keys.of(secret)
  return {
    name,
    sign: (sessionID) => `s:${sessionID}.${signatureOf(sessionID, currentKey(secrets[0]))}`,
    read(header) {
      const value = valueOf(header, name)
      if (value === undefined || value === '') return 'no-cookie'
      if (!value.startsWith('s:')) return 'unsigned-cookie'
      const dot = value.lastIndexOf('.')
      if (dot === -1) return 'bad-signature'
      const sessionID = value.slice(2, dot)
      const signature = value.slice(dot + 1)
      for (const secret of secrets) {
        if (!isSignature(signature, sessionID, currentKey(secret))) continue
        // express-session makes a new session where the ID is empty (index.js, `if (!req.sessionID)`).
        return sessionID === '' ? 'no-session' : { sessionID, value, outdated: secret !== secrets[0] }
      }
      return 'bad-signature'
    },
  }
}

type Key = Exclude<Secret, string>

/** HMAC-SHA256 in base64, without the `=` at its end. */
const signatureLength = 43

/*
 * What the package `cookie-signature` computes. That package is CommonJS, and esbuild cannot put its `require('crypto')` into
 * an ESM bundle. (Its speed is no reason: 2.65 µs for each cookie, against 2.45 µs here.)
 */
function signatureOf(sessionID: string, key: Key): string {
  return createHmac('sha256', key).update(sessionID).digest('base64').slice(0, signatureLength)
}

/* Made once: what is compared is written here, and read in the same call. */
const given = Buffer.alloc(signatureLength)
const computed = Buffer.alloc(signatureLength)

/* The texts are compared, not the bytes that they stand for: base64 has several texts for the same bytes. */
function isSignature(signature: string, sessionID: string, key: Key): boolean {
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
