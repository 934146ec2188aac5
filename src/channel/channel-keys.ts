/*
 * What the session secrets are used for on a channel.
 */
import { createHmac, createSecretKey, hkdfSync, timingSafeEqual, type KeyObject } from 'node:crypto'

import type { Secret } from '../internal/secrets.js'

/**
 * Keys made from the session secrets. They are not the secrets: who can have any value signed as a cookie (`res.cookie` with
 * `signed`, under the same secret) can sign no message. HKDF keeps the two apart, an HMAC of a fixed text under the secret would not.
 */
export class ChannelKeys {
  readonly #keys: readonly { readonly messages: KeyObject; readonly sessions: KeyObject }[]

  /** @param secrets all verify; the first signs */
  constructor(secrets: readonly Secret[]) {
    this.#keys = secrets.map((secret) => ({
      messages: derived(secret, 'messages'),
      sessions: derived(secret, 'session IDs'),
    }))
  }

  sign(text: string): string {
    return macOf(this.#keys[0]?.messages, text).toString('base64url')
  }

  /** Which secret has signed a text, so that processes whose secrets are being changed understand each other; undefined: none. */
  signerOf(text: string, signature: string): number | undefined {
    const given = Buffer.from(signature, 'base64url')
    const index = this.#keys.findIndex(({ messages }) => isEqual(macOf(messages, text), given))
    return index === -1 ? undefined : index
  }

  /** What stands for a session ID on the channel: 96 bits, in 16 characters. */
  hashOf(sessionID: string, signer = 0): string {
    return macOf(this.#keys[signer]?.sessions, sessionID).toString('base64url').slice(0, sessionHashLength)
  }
}

/** Characters in a session's hash. */
export const sessionHashLength = 16

function derived(secret: Secret, use: string): KeyObject {
  const key = hkdfSync('sha256', asKey(secret), 'ws-session-bridge', `channel: ${use}`, 32)
  return createSecretKey(new Uint8Array(key))
}

function asKey(secret: Secret): KeyObject {
  if (typeof secret === 'string') return createSecretKey(secret, 'utf8')
  return ArrayBuffer.isView(secret) ? createSecretKey(secret) : secret
}

function macOf(key: KeyObject | undefined, text: string): Buffer {
  if (key === undefined) throw new TypeError('A channel needs a session secret.')
  return createHmac('sha256', key).update(text).digest()
}

function isEqual(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other)
}
