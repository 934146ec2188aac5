/*
 * What an administrator can do: kick, sign out, remove the admin role, ban, for one socket, one session, a user, or all others.
 */
import type { SessionBridge, SessionContext, SessionDraft } from 'ws-session-bridge'

import { hashOf, socketOf } from './identity.js'
import type { AdminCommand, AdminAction, AdminTarget } from './messages.js'
import type { BannedUsers } from './session-backend.js'

const actions: readonly unknown[] = ['kick', 'sign-out', 'demote', 'ban'] satisfies AdminAction[]
const targets: readonly unknown[] = ['socket', 'session', 'user', 'others'] satisfies AdminTarget[]

/** The command in what a page has sent; undefined if it is none. */
export function parseCommand(message: unknown): AdminCommand | undefined {
  const { action, target, id } = (message ?? {}) as Record<string, unknown>
  if (!actions.includes(action) || !targets.includes(target) || typeof id !== 'string') return undefined
  if (action === 'ban' && target !== 'user') return undefined
  return { action: action as AdminAction, target: target as AdminTarget, id }
}

/** Whether a command is run from here for all nodes. The others are broadcast, and each node runs them on its own sockets. */
export function isForEverywhere({ action, target }: AdminCommand): boolean {
  return target === 'user' && (action === 'kick' || action === 'ban')
}

/** Runs a command for all sockets of a user, on every node. */
export async function runEverywhere(bridge: SessionBridge, banned: BannedUsers, command: AdminCommand): Promise<void> {
  const { action, id: user } = command
  // A ban is data that `authorize` reads. That makes it hold; asking again makes it quick.
  if (action === 'ban') await banned.add(user)
  if (action === 'ban') await bridge.everywhere.reauthorize({ user })
  else await bridge.everywhere.disconnect({ user }, { reason: 'kicked' })
}

/** Runs a command on this node's sockets; every other node runs it on its own. */
export async function runCommand(bridge: SessionBridge, command: AdminCommand): Promise<void> {
  const concerned = (context: SessionContext): boolean => isMeant(context, command)
  if (command.action === 'kick') {
    // The session stays: whoever is kicked may come back. 1008 says that the page should not do so by itself.
    bridge.disconnect(concerned, { reason: 'kicked' })
    return
  }
  const sessionIDs = new Set([...bridge.connections()].filter(concerned).map(({ sessionID }) => sessionID))
  await Promise.all([...sessionIDs].map((sessionID) => change(bridge, sessionID, command.action)))
}

/* Outside of any request, by the session's ID. Its sockets, on every node, end by themselves or hear of the change. */
async function change(bridge: SessionBridge, sessionID: string, action: AdminAction): Promise<void> {
  if (action === 'sign-out') await bridge.destroy(sessionID)
  else await bridge.update(sessionID, takeRole)
}

function isMeant(context: SessionContext, { target, id }: AdminCommand): boolean {
  if (target === 'socket') return socketOf(context) === id
  if (target === 'user') return context.user === id
  return (hashOf(context.sessionID) === id) === (target === 'session')
}

function takeRole(draft: SessionDraft): void {
  draft.role = 'visitor'
}
