/*
 * Messages of any size and characters as payloads of NOTIFY, which are short and depend on the database's encoding.
 */
import { randomBytes } from 'node:crypto'

/** PostgreSQL takes fewer than 8,000 bytes. */
const maxPayload = 7_900
/** Characters of a message, so that no process has to hold more in pieces. */
export const maxMessageLength = 4_000_000

/** A message's payloads, in the order in which they are to be sent, within one transaction. */
export function payloadsOf(message: string): string[] {
  const isAscii = /^[ -~]*$/.test(message)
  const text = isAscii ? `t${message}` : `b${Buffer.from(message).toString('base64')}`
  if (text.length <= maxPayload) return [text]
  const id = randomBytes(6).toString('base64url')
  const count = Math.ceil(text.length / maxPayload)
  return Array.from(
    { length: count },
    (_, index) => `p${id}.${index}.${count}.${text.slice(index * maxPayload, (index + 1) * maxPayload)}`,
  )
}

/** Puts the pieces together again. PostgreSQL tells all of a transaction before any of the next one, so there is one message at a time. */
export class PayloadReader {
  #id = ''
  #pieces: string[] = []

  /** The message that is complete with this payload; undefined where more is to come, and for what is none. */
  read(payload: string): string | undefined {
    if (!payload.startsWith('p')) return messageIn(payload)
    const { id, index, count, piece } =
      /^p(?<id>[\w-]+)\.(?<index>\d+)\.(?<count>\d+)\.(?<piece>.*)$/s.exec(payload)?.groups ?? {}
    if (id === undefined || piece === undefined || Number(count) > Math.ceil((2 * maxMessageLength) / maxPayload))
      return undefined
    if (Number(index) === 0) {
      this.#id = id
      this.#pieces = []
    }
    if (id !== this.#id || Number(index) !== this.#pieces.length) return undefined
    this.#pieces.push(piece)
    if (this.#pieces.length < Number(count)) return undefined
    const text = this.#pieces.join('')
    this.#pieces = []
    this.#id = ''
    return messageIn(text)
  }
}

function messageIn(text: string): string | undefined {
  if (text.startsWith('t')) return text.slice(1)
  return text.startsWith('b') ? Buffer.from(text.slice(1), 'base64').toString() : undefined
}
