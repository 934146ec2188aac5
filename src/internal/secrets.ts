/*
 * The secrets that an app's sessions are signed with.
 */
import { createSecretKey, KeyObject } from 'node:crypto'

/** A secret as `SessionOptions.secret` takes it. */
export type Secret = string | NodeJS.ArrayBufferView | KeyObject

/**
 * One or several, as a list: the very array that was given, where it is one. express-session reads its array at every request, so
 * that secrets can be changed while the app runs.
 *
 * @param what what the error begins with: 'Option `session.secret`'
 * @throws {TypeError} for none, and for one that is none.
 */
export function secretsOf(secret: unknown, what: string): readonly unknown[] {
  const secrets: unknown[] = Array.isArray(secret) ? secret : [secret]
  if (secrets.length === 0 || !secrets.every(isSecret)) {
    throw new TypeError(
      `${what} is required: a string, Buffer or secret KeyObject that is not empty, or a list of them.`,
    )
  }
  return secrets
}

/** @throws {TypeError} for what the app has put into its list since, and is no secret: an empty one would let anybody in. */
export function assertSecret(secret: unknown): asserts secret is Secret {
  if (isSecret(secret)) return
  throw new TypeError(
    'The list of session secrets (`secret`) is empty by now, or holds something else: it takes strings, Buffers and secret ' +
      'KeyObjects that are not empty.',
  )
}

/** Whether it is one that may be used. */
export function isSecret(secret: unknown): secret is Secret {
  if (typeof secret === 'string') return secret !== ''
  if (secret instanceof KeyObject) return secret.type === 'secret' && secret.symmetricKeySize !== 0
  return ArrayBuffer.isView(secret) && secret.byteLength > 0
}

/** A secret as a key: made once, it spares every HMAC the making of it. */
export function keyOf(secret: Secret): KeyObject {
  if (secret instanceof KeyObject) return secret
  return typeof secret === 'string' ? createSecretKey(secret, 'utf8') : createSecretKey(secret)
}

/** What is made of each secret, once. It keeps no more than the list holds, however often the secrets change. */
export class SecretKeys<K> {
  readonly #secrets: readonly unknown[]
  readonly #make: (secret: Secret) => K
  readonly #made = new Map<unknown, K>()

  constructor(secrets: readonly unknown[], make: (secret: Secret) => K) {
    this.#secrets = secrets
    this.#make = make
  }

  get size(): number {
    return this.#made.size
  }

  /** @throws {TypeError} for what is no secret. */
  of(secret: unknown): K {
    return this.#made.get(secret) ?? this.#makeOf(secret)
  }

  #makeOf(secret: unknown): K {
    assertSecret(secret)
    for (const old of this.#made.keys()) if (!this.#secrets.includes(old)) this.#made.delete(old)
    const made = this.#make(secret)
    this.#made.set(secret, made)
    return made
  }
}
