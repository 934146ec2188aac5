/*
 * The secrets that an app's sessions are signed with.
 */
import { KeyObject } from 'node:crypto'

/** A secret as `SessionOptions.secret` takes it. */
export type Secret = string | NodeJS.ArrayBufferView | KeyObject

/**
 * One or several, as a list.
 *
 * @param what what the error begins with: 'Option `session.secret`'
 * @throws {TypeError} for none, and for one that is none.
 */
export function secretsOf(secret: unknown, what: string): Secret[] {
  const secrets: unknown[] = Array.isArray(secret) ? secret : [secret]
  if (secrets.length === 0 || !secrets.every(isSecret)) {
    throw new TypeError(
      `${what} is required: a string, Buffer or secret KeyObject that is not empty, or a list of them.`,
    )
  }
  return [...secrets] as Secret[]
}

function isSecret(secret: unknown): secret is Secret {
  if (typeof secret === 'string') return secret !== ''
  if (secret instanceof KeyObject) return secret.type === 'secret' && secret.symmetricKeySize !== 0
  return ArrayBuffer.isView(secret) && secret.byteLength > 0
}
