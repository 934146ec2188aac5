// A handler that writes to the session.
import type { ConnectionListener } from 'ws-session-bridge'

// #region docs
export const countViews: ConnectionListener = (ws, _request, context) => {
  ws.on('message', () => {
    context
      .update((draft) => {
        draft.views = (draft.views ?? 0) + 1
      })
      .catch(() => console.error('Not counted: the session has ended, or the store is unavailable.'))
  })
}
// #endregion
