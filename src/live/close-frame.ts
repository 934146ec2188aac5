/*
 * What a close frame may hold (RFC 6455, sections 5.5.1 and 7.4).
 */

/** A user's close code and reason. */
export interface CloseFrame {
  readonly code?: number | undefined
  readonly reason?: string | undefined
}

/** A control frame holds 125 bytes, two of which are the code. */
const longestReason = 123

/** @throws {TypeError} for a code that must not be sent, or a reason that is too long. */
export function assertSendable(code: number, reason: string | undefined): void {
  if (!isSendable(code)) {
    throw new TypeError(`The close code ${String(code)} cannot be sent: use 1000, 1008 or one from 3000 to 4999.`)
  }
  if (reason !== undefined && (typeof reason !== 'string' || Buffer.byteLength(reason) > longestReason)) {
    throw new TypeError(`The close reason must be a string of at most ${String(longestReason)} bytes in UTF-8.`)
  }
}

/* 1004 to 1006 and 1015 are never on the wire. */
function isSendable(code: number): boolean {
  if (!Number.isInteger(code)) return false
  return (code >= 1000 && code <= 1014 && !(code >= 1004 && code <= 1006)) || (code >= 3000 && code <= 4999)
}
