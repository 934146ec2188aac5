// sockets that were open by the old one end.
// #region docs
import { SessionEndedError, type Authorize, type SessionBridge } from 'ws-session-bridge'

/** For the option `authorize`: called at the handshake, and again whenever the session changes. */
export const isStaff: Authorize = ({ role }) => role === 'staff'

/** Sockets that `isStaff` says no to by now are closed with 4403, on every node. */
export async function setRole(bridge: SessionBridge, sessionIDs: Iterable<string>, role: string): Promise<void> {
  for (const sessionID of sessionIDs) {
    try {
      await bridge.update(sessionID, (draft) => {
        draft.role = role
      })
    } catch (error) {
      if (!(error instanceof SessionEndedError)) throw error
    }
  }
}
// #endregion
