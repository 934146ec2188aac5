/*
 * What the session secrets are used for on a channel.
 */
import { createHmac, createSecretKey, hkdfSync, timingSafeEqual, type KeyObject } from 'node:crypto'

import { isSecret, keyOf, SecretKeys, type Secret } from '../internal/secrets.js'

/** The keys that are made from one secret. The same object for as long as the secret is in use. */
export interface ChannelKey {
  readonly messages: KeyObject
  readonly sessions: KeyObject
}

/**
 * Keys made from the session secrets. They are not the secrets: who can have any value signed as a cookie (`res.cookie` with
 * `signed`, under the same secret) can sign no message. HKDF keeps the two apart, an HMAC of a fixed text under the secret would not.
 */
export class ChannelKeys {
  readonly #secrets: readonly unknown[]
  readonly #keys: SecretKeys<ChannelKey>

  /** @param secrets all verify; the first signs: those that the list holds at the time */
  constructor(secrets: readonly unknown[]) {
    this.#secrets = secrets
    this.#keys = new SecretKeys(secrets, (secret) => ({
      messages: derived(secret, 'messages'),
      sessions: derived(secret, 'session IDs'),
    }))
  }

  /**
   * What this process signs with.
   *
   * @throws {TypeError} when the list is empty by now, or its first one is no secret.
   */
  get signer(): ChannelKey {
    return this.#keys.of(this.#secrets[0])
  }

  /** All that verify. What the app has put into its list, and is no secret, verifies nothing. */
  all(): ChannelKey[] {
    return this.#secrets.filter(isSecret).map((secret) => this.#keys.of(secret))
  }

  sign(text: string): string {
    return macOf(this.signer.messages, text).toString('base64url')
  }

  /** Which secret has signed a text, so that processes whose secrets are being changed understand each other; undefined: none. */
  signerOf(text: string, signature: string): ChannelKey | undefined {
    const given = Buffer.from(signature, 'base64url')
    return this.all().find(({ messages }) => isEqual(macOf(messages, text), given))
  }

  /** What stands for a session ID on the channel: 96 bits, in 16 characters. */
  hashOf(sessionID: string, signer = this.signer): string {
    return macOf(signer.sessions, sessionID).toString('base64url').slice(0, sessionHashLength)
  }
}

/** Characters in a session's hash. */
export const sessionHashLength = 16

function derived(secret: Secret, use: string): KeyObject {
  const key = hkdfSync('sha256', keyOf(secret), 'ws-session-bridge', `channel: ${use}`, 32)
  return createSecretKey(new Uint8Array(key))
}

function macOf(key: KeyObject, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function isEqual(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other)
}
