/*
 * What stands for a session ID wherever it may be read by others.
 */
import { createHash } from 'node:crypto'

/** The first 48 bits of the ID's SHA-256, in hexadecimal. */
export function hashOf(sessionID: string): string {
  return createHash('sha256').update(sessionID).digest('hex').slice(0, 12)
}
