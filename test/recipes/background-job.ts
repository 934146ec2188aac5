// sessions read and changed outside of any request.
// #region docs
import { SessionEndedError, type SessionBridge } from 'ws-session-bridge'

/** Starts a new counting period. Resolves to how many sessions had something to reset. */
export async function resetViews(bridge: SessionBridge, sessionIDs: Iterable<string>): Promise<number> {
  let changed = 0
  for (const sessionID of sessionIDs) {
    const session = await bridge.load(sessionID)
    if (session?.views === undefined) continue
    try {
      await bridge.update(sessionID, (draft) => {
        delete draft.views
      })
      changed += 1
    } catch (error) {
      // Logged out since it was read: nothing to do, and nothing was brought back.
      if (!(error instanceof SessionEndedError)) throw error
    }
  }
  return changed
}
// #endregion
