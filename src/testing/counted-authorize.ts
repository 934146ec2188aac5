/*
 * `authorize`, whose answers for open sockets are waited for.
 */
import type { Authorize } from '../live/authorize.js'
import type { SessionBridgeOptions } from '../options.js'
import { isThenable } from '../internal/is-thenable.js'
import type { Activity } from './activity.js'

/**
 * Counted for as long as the bridge itself waits. For a handshake it is not: the test may be holding back the answer
 * while it does something else.
 */
export function countedAuthorize(
  { authorize, handshakeTimeoutMs = 5_000, unverifiedMs = 60_000 }: Omit<SessionBridgeOptions, 'session'>,
  activity: Activity,
): Authorize | undefined {
  // The bridge says what is wrong with it.
  if (typeof authorize !== 'function') return authorize
  return (session, request, handshake) => {
    if (request !== undefined) return authorize(session, request, handshake)
    const end = activity.begin(Math.min(handshakeTimeoutMs, unverifiedMs))
    try {
      const answer = authorize(session, request, handshake)
      if (isThenable(answer)) answer.then(end, end)
      else end()
      return answer
    } catch (error) {
      end()
      throw error
    }
  }
}
