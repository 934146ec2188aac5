/*
 * Kicking, signing out, taking a role away: for one socket, one session, a user, or everybody else.
 */
import type { SessionBridge, SessionContext, SessionDraft } from 'ws-session-bridge'

import { hashOf, socketOf } from './identity.js'
import type { Order, OrderAction, OrderTarget } from './messages.js'

const actions: readonly unknown[] = ['kick', 'sign-out', 'demote'] satisfies OrderAction[]
const targets: readonly unknown[] = ['socket', 'session', 'user', 'others'] satisfies OrderTarget[]

/** The order in what a page has sent; undefined if it is none. */
export function orderIn(message: unknown): Order | undefined {
  const { action, target, id } = (message ?? {}) as Record<string, unknown>
  if (!actions.includes(action) || !targets.includes(target) || typeof id !== 'string') return undefined
  return { action: action as OrderAction, target: target as OrderTarget, id }
}

/** Does what was ordered to this node's sockets; the other nodes see to theirs. */
export async function carryOut(bridge: SessionBridge, order: Order): Promise<void> {
  const concerned = (context: SessionContext): boolean => isMeant(context, order)
  if (order.action === 'kick') {
    // The session stays: whoever is kicked may come back. 1008 says that the page should not do so by itself.
    bridge.disconnect(concerned, { reason: 'kicked' })
    return
  }
  const sessionIDs = new Set([...bridge.connections()].filter(concerned).map(({ sessionID }) => sessionID))
  await Promise.all([...sessionIDs].map((sessionID) => change(bridge, sessionID, order.action)))
}

/* Outside of any request, by the session's ID. Its sockets, on every node, end by themselves or hear of the change. */
async function change(bridge: SessionBridge, sessionID: string, action: OrderAction): Promise<void> {
  if (action === 'sign-out') await bridge.destroy(sessionID)
  else await bridge.update(sessionID, takeRole)
}

function isMeant(context: SessionContext, { target, id }: Order): boolean {
  if (target === 'socket') return socketOf(context) === id
  if (target === 'user') return context.session.user === id
  return (hashOf(context.sessionID) === id) === (target === 'session')
}

function takeRole(draft: SessionDraft): void {
  draft.role = 'visitor'
}
