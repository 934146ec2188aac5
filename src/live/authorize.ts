/*
 * The user's question: may this session be connected?
 */
import type { IncomingMessage } from 'node:http'

import { isThenable } from '../internal/is-thenable.js'
import type { SessionSnapshot } from '../store/snapshot.js'
import type { HandshakeInfo } from './session-context.js'

/** Who may connect, by what the session says; see {@link SessionBridgeOptions.authorize}. */
export type Authorize = (
  session: SessionSnapshot,
  request: IncomingMessage | undefined,
  handshake: HandshakeInfo,
) => boolean | Promise<boolean>

/**
 * Asks `authorize`. Only `true` lets in.
 *
 * @throws {TypeError} for an answer that is truthy but not `true`: a forgotten comparison should not open the door.
 * @throws what `authorize` throws.
 */
export async function permits(
  authorize: Authorize,
  session: SessionSnapshot,
  request: IncomingMessage | undefined,
  handshake: HandshakeInfo,
): Promise<boolean> {
  const asked: unknown = authorize(session, request, handshake)
  const answer = isThenable(asked) ? await asked : asked
  if (answer && answer !== true)
    throw new TypeError('Option `authorize` must return true or false, or a promise of one.')
  return answer === true
}
