// In: sockets that close. Out: when their users were last seen, in the session.
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
      .catch((error: Error) => {
        // Who logged out has no session to be seen in. The message alone, since a store's own error, the `cause`, may hold a session ID.
        if (!(error instanceof SessionEndedError)) console.error('Last seen was not saved:', error.message)
      })
  })
}
// #endregion
