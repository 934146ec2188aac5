/*
 * What happens on the sockets. Every name in here was read from a session, never from a message.
 * In: accepted sockets with their contexts. Out: messages to the pages.
 */
import type { RawData, WebSocket } from 'ws'
import type { ConnectionListener, SessionBridge, SessionContext } from 'ws-session-bridge'

/** What the page gets over its socket. */
export type ToPage =
  /** At first, and whenever it changes: what the server reads from this socket's session. */
  | { readonly type: 'session'; readonly user: string; readonly loggedInAt: number }
  /** Whenever somebody comes or goes: everybody who is here. */
  | { readonly type: 'presence'; readonly people: readonly Person[] }
  /** To all tabs of a session: what one of them has sent. */
  | { readonly type: 'echo'; readonly user: string; readonly text: string; readonly fromThisTab: boolean }

/** One session that has sockets. */
export interface Person {
  readonly user: string
  readonly tabs: number
  /** Whether it is the session of the page that gets this message. */
  readonly you: boolean
}

/** Makes the listener of the sockets that `bridge` lets in. */
export function createChat(bridge: SessionBridge): ConnectionListener {
  /* The bridge knows the context of every open socket, so nobody has to keep a list. */
  function announce(): void {
    const sessions = new Map<string, SessionContext[]>()
    for (const context of bridge.connections()) {
      sessions.set(context.sessionID, [...(sessions.get(context.sessionID) ?? []), context])
    }
    for (const [mine, tabs] of sessions) {
      const people = [...sessions].map(([sessionID, { 0: first, length }]) => ({
        user: first?.session.user ?? '',
        tabs: length,
        // The session ID itself never leaves the server but as the cookie.
        you: sessionID === mine,
      }))
      for (const { ws } of tabs) send(ws, { type: 'presence', people })
    }
  }

  return (ws, _request, context) => {
    function introduce(): void {
      const { user = '', loggedInAt = 0 } = context.session
      send(ws, { type: 'session', user, loggedInAt })
      announce()
    }

    introduce()
    // Somebody has written to the session: another tab, over HTTP, or a job.
    context.on('change', introduce)
    context.once('end', announce)

    ws.on('message', (data) => {
      // The session as it is now, not as it was when the socket opened.
      const { user = '' } = context.session
      for (const tab of bridge.connections()) {
        if (tab.sessionID !== context.sessionID) continue
        send(tab.ws, { type: 'echo', user, text: textOf(data), fromThisTab: tab === context })
      }
    })
  }
}

function send(ws: WebSocket | undefined, message: ToPage): void {
  ws?.send(JSON.stringify(message))
}

/* ws gives a Buffer, unless `ws.binaryType` says otherwise. */
function textOf(data: RawData): string {
  return Buffer.isBuffer(data) ? data.toString() : ''
}
