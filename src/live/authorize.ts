/*
 * The question whether a session may be connected, which the app answers.
 */
import type { IncomingMessage } from 'node:http'

import { isThenable } from '../internal/is-thenable.js'
import type { SessionSnapshot } from '../store/snapshot.js'
import type { HandshakeInfo } from './handshake-info.js'

/** Who may connect, by what the session says; see {@link SessionBridgeOptions.authorize}. */
export type Authorize = (
  session: SessionSnapshot,
  request: IncomingMessage | undefined,
  handshake: HandshakeInfo,
) => boolean | Promise<boolean>

/**
 * Asks all of them, one after the other, until one says no. Only `true` lets in. The answer is no promise where all of them
 * answer at once.
 *
 * @throws {TypeError} (or rejects) for an answer that is truthy but not `true`: a forgotten comparison must not let a client in.
 * @throws (or rejects with) what `authorize` throws.
 */
export function permits(
  authorizers: Authorize | readonly Authorize[],
  session: SessionSnapshot,
  request: IncomingMessage | undefined,
  handshake: HandshakeInfo,
): boolean | Promise<boolean> {
  if (typeof authorizers === 'function') return permits([authorizers], session, request, handshake)
  for (const [index, authorize] of authorizers.entries()) {
    const answer: unknown = authorize(session, request, handshake)
    if (isThenable(answer)) return permitsAfter(answer, authorizers.slice(index + 1), session, request, handshake)
    if (!isYes(answer)) return false
  }
  return true
}

async function permitsAfter(answer: PromiseLike<unknown>, ...others: Parameters<typeof permits>): Promise<boolean> {
  return isYes(await answer) && (await permits(...others))
}

function isYes(answer: unknown): boolean {
  if (answer && answer !== true)
    throw new TypeError('Option `authorize` must return true or false, or a promise of one.')
  return answer === true
}
