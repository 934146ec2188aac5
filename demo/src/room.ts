/*
 * The room: who is here, and what they say. Every name in it was read from a session, never from a message.
 */
import { randomUUID } from 'node:crypto'

import type { ConnectionListener, SessionContext } from 'ws-session-bridge'

import { hashOf, leftMsOf, pathOf, socketOf } from './identity.js'
import type { Person, Said, ToRoom } from './messages.js'
import type { Nodes } from './nodes.js'
import { send, textOf } from './wire.js'

export const roomPath = '/room'

/** What a page that has just come is told of the past. */
const mostRemembered = 20
const longestText = 500
/** A touch moves the expiry without an event, so that is looked at this often. It costs no store call. */
const lookAtExpiryMs = 500

/** The room, as far as it is on this node. */
export interface Room {
  readonly onConnection: ConnectionListener
  close(): void
}

/** Makes the room for the sockets that the bridge lets in. */
export function createRoom(nodes: Nodes, maxAgeMs: number): Room {
  const { bridge, channel, name: node } = nodes
  const remembered: Said[] = []
  const toldExpiry = new WeakMap<SessionContext, string | null>()
  let told = ''

  /* The bridge knows the context of every open socket, so no handler has to keep a list. */
  function* inRoom(): Iterable<SessionContext> {
    for (const context of bridge.connections()) if (pathOf(context.handshake.url) === roomPath) yield context
  }

  channel.onMessage((message) => {
    if (message.kind !== 'said') return
    remembered.push(message.said)
    if (remembered.length > mostRemembered) remembered.shift()
    for (const context of inRoom()) send(context, { type: 'said', said: [message.said] })
  })

  nodes.on('report', () => {
    const message = whoIsHere(nodes)
    if (JSON.stringify(message) === told) return
    told = JSON.stringify(message)
    for (const context of inRoom()) send(context, message)
  })

  function tellExpiry(context: SessionContext): void {
    const { expires } = context.session.cookie
    if (toldExpiry.get(context) === expires) return
    toldExpiry.set(context, expires)
    send(context, { type: 'expiry', leftMs: leftMsOf(context), maxAgeMs })
  }

  const timer = setInterval(() => {
    for (const context of inRoom()) tellExpiry(context)
  }, lookAtExpiryMs).unref()

  function onConnection(...[ws, , context]: Parameters<ConnectionListener>): void {
    const [session, socket] = [hashOf(context.sessionID), socketOf(context)]

    function introduce(): void {
      send(context, { type: 'session', node, session, socket, snapshot: context.session })
    }

    introduce()
    tellExpiry(context)
    send(context, whoIsHere(nodes))
    send(context, { type: 'said', said: remembered })
    // The session was written: another tab, over HTTP, or an administrator on another node.
    context.on('change', introduce)

    ws.on('message', (data) => {
      const text = textOf(data).trim().slice(0, longestText)
      if (text === '') return
      // The session as it is now, not as it was when the socket opened.
      const { user = '' } = context.session
      channel.publish({ kind: 'said', said: { id: randomUUID(), at: Date.now(), user, text, node, session, socket } })
    })
  }

  return { onConnection, close: () => clearInterval(timer) }
}

/* The sockets of all nodes, by session. */
function whoIsHere(nodes: Nodes): ToRoom {
  const people = new Map<string, Person>()
  for (const { node, sockets } of nodes.known()) {
    for (const { session, path, data } of sockets) {
      if (path !== roomPath) continue
      const { user = '', role = '', note = '' } = data as { user?: string; role?: string; note?: string }
      const known = people.get(session) ?? { tabs: 0, nodes: [] as string[] }
      const on = [...new Set([...known.nodes, node])]
      people.set(session, { session, user, role, note, tabs: known.tabs + 1, nodes: on })
    }
  }
  return { type: 'people', people: [...people.values()], nodes: nodes.known().map(({ node, url }) => ({ node, url })) }
}
