/*
 * What a message looks like on a channel: `wsb1 <signature> <JSON>`.
 */
import type { ChannelKey, ChannelKeys } from './channel-keys.js'

/** A message with who sent it, and when. */
export interface Envelope {
  /** The sender's name. */
  readonly node: string
  /** It counts its messages, from 1 on. */
  readonly sequence: number
  /** In ms since the epoch, by the sender's clock. */
  readonly at: number
  readonly kind: string
  readonly body: unknown
  /** Which of the secrets has signed it. */
  readonly signer: ChannelKey
}

/** Why a message is dropped. */
export type Unusable = 'too large' | 'no message of a bridge' | 'of another version' | 'not signed by a session secret'

/** In characters. Larger ones are dropped unread; what is told is divided so that it stays below. */
export const maxMessageLength = 262_144

const prefix = 'wsb1 '
const form = /^wsb1 (?<signature>[\w-]{43}) (?<json>\[.*\])$/s

export function seal(keys: ChannelKeys, { node, sequence, at, kind, body }: Omit<Envelope, 'signer'>): string {
  const json = JSON.stringify([node, sequence, at, kind, body])
  return `${prefix}${keys.sign(json)} ${json}`
}

/** Never throws, whatever it is given. */
export function open(keys: ChannelKeys, message: unknown): Envelope | Unusable {
  if (typeof message !== 'string') return 'no message of a bridge'
  if (message.length > maxMessageLength) return 'too large'
  const { signature, json } = form.exec(message)?.groups ?? {}
  if (signature === undefined || json === undefined) {
    return /^wsb\d+ /.test(message) && !message.startsWith(prefix) ? 'of another version' : 'no message of a bridge'
  }
  const signer = keys.signerOf(json, signature)
  if (signer === undefined) return 'not signed by a session secret'
  return parsed(json, signer) ?? 'no message of a bridge'
}

/* It is signed, so it is as seal() has made it, or some later version of it. */
function parsed(json: string, signer: ChannelKey): Envelope | undefined {
  try {
    const [node, sequence, at, kind, body] = JSON.parse(json) as unknown[]
    if (typeof node !== 'string' || node.length > 200 || typeof kind !== 'string') return undefined
    if (!Number.isSafeInteger(sequence) || !Number.isSafeInteger(at)) return undefined
    return { node, sequence: sequence as number, at: at as number, kind, body, signer }
  } catch {
    return undefined
  }
}
