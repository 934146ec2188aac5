// One line for every refusal and every fault.
import type { SessionBridge } from 'ws-session-bridge'

// #region docs
export function logRefusals(bridge: SessionBridge, log: (line: string) => void): void {
  bridge.on('refuse', ({ reason, status }, request) => {
    log(`${status} ${reason}, Origin ${request.headers.origin}, Host ${request.headers.host}`)
  })
  // An error's `cause` may hold a session ID, so only the message is logged.
  bridge.on('fault', (error) => log(error.message))
}
// #endregion
