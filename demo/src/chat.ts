/*
 * What happens on the sockets. Every name in here was read from a session, never from a message.
 * In: accepted sockets with their contexts. Out: messages to the pages.
 */
import type { RawData, WebSocket, WebSocketServer } from 'ws'
import { CloseCode, type ConnectionListener, type SessionBridge, type SessionContext } from 'ws-session-bridge'

/** What the page gets over its socket. */
export type ToPage =
  /** At first: what the server has read from this socket's session. */
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

/** The sockets of the demo. */
export interface Chat {
  /** For `bridge.attach`: takes a socket in. */
  readonly join: ConnectionListener
  /** Closes the sockets of a session that has logged out. */
  leave(sessionID: string): void
}

/** Makes the chat for the sockets that `bridge` lets in to `wss`. */
export function createChat(wss: WebSocketServer, bridge: SessionBridge): Chat {
  /* The bridge knows the context of every socket, so nobody has to keep a list. */
  function contexts(): SessionContext[] {
    return [...wss.clients]
      .map((ws) => bridge.contextOf(ws))
      .filter((context) => context !== undefined)
      .filter(({ ended }) => ended === undefined)
  }

  function announce(): void {
    const sessions = new Map<string, SessionContext[]>()
    for (const context of contexts()) {
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

  return {
    join(ws, _request, context) {
      const { user = '', loggedInAt = 0 } = context.session
      send(ws, { type: 'session', user, loggedInAt })
      announce()
      context.once('end', announce)

      ws.on('message', (data) => {
        const { user = '' } = context.session
        const tabs = contexts().filter(({ sessionID }) => sessionID === context.sessionID)
        for (const tab of tabs) send(tab.ws, { type: 'echo', user, text: textOf(data), fromThisTab: tab === context })
      })
    },

    leave(sessionID) {
      for (const context of contexts()) {
        if (context.sessionID === sessionID) context.ws?.close(CloseCode.destroyed, 'logged out')
      }
    },
  }
}

function send(ws: WebSocket | undefined, message: ToPage): void {
  ws?.send(JSON.stringify(message))
}

/* ws gives a Buffer, unless `ws.binaryType` says otherwise. */
function textOf(data: RawData): string {
  return Buffer.isBuffer(data) ? data.toString() : ''
}
