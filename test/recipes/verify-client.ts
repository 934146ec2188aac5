// the `verifyClient` of a ws server that another library makes, and the context that it has found.
// #region docs
import type { IncomingMessage } from 'node:http'
import type { VerifyClientCallbackAsync } from 'ws'
import type { SessionBridge, SessionContext } from 'ws-session-bridge'

export function verifierOf(bridge: SessionBridge) {
  const contexts = new WeakMap<IncomingMessage, SessionContext>()
  const verifyClient: VerifyClientCallbackAsync = ({ req }, answer) => {
    void bridge.authenticate(req).then((verdict) => {
      if (!verdict.accepted) return answer(false, verdict.refusal.status)
      if (verdict.context) contexts.set(req, verdict.context)
      answer(verdict.context !== undefined)
    })
  }
  return { verifyClient, contextOf: (request: IncomingMessage) => contexts.get(request) }
}
// #endregion
