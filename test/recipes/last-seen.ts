// when their users were last seen, in the session.
// #region docs
import { SessionEndedError, type ConnectionListener } from 'ws-session-bridge'

declare module 'express-session' {
  interface SessionData {
    lastSeenAt?: number
  }
}

export const noteLastSeen: ConnectionListener = (ws, _request, context) => {
  ws.on('close', () => {
    context
      .update((draft) => {
        draft.lastSeenAt = Date.now()
      })
      .catch((error: unknown) => {
        // After a logout there is no session to write to.
        if (error instanceof SessionEndedError) return
        // The message alone: its `cause`, the store's own error, may hold a session ID.
        console.error('Last seen was not saved:', error instanceof Error ? error.message : '')
      })
  })
}
// #endregion
