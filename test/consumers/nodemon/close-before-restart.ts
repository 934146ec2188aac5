// A restart by nodemon, which tells clients to come back.
// #region docs
import type { SessionBridge } from 'ws-session-bridge'

/** nodemon asks with SIGUSR2, and waits until the process is gone. */
export function closeBeforeRestart(bridge: SessionBridge): void {
  process.once('SIGUSR2', () => {
    void bridge.close().then(() => process.kill(process.pid, 'SIGUSR2'))
  })
}
// #endregion
