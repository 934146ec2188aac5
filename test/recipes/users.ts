// Kick, ban, permissions in a database and presence, as docs/users.md shows them.
import type { Authorize, SessionBridge, SessionBridgeOptions } from 'ws-session-bridge'
import { createSessionBridge } from 'ws-session-bridge'

/** A table of users. `role` is undefined for a user who is banned or unknown. */
export interface UserTable {
  roleOf(user: string): Promise<string | undefined>
  setRole(user: string, role: string | undefined): Promise<unknown>
}

export function createChat(
  sessionOptions: SessionBridgeOptions['session'],
  users: UserTable,
  others: Pick<SessionBridgeOptions, 'channel' | 'live'> = {},
): SessionBridge {
  // #region docs
  const authorize: Authorize = async ({ user }) => user !== undefined && (await users.roleOf(user)) !== undefined

  const bridge = createSessionBridge({
    session: sessionOptions,
    identify: (session) => session.user,
    maxSocketsPerUser: 20,
    authorize,
    reauthorizeMs: 600_000,
    ...others,
  })
  // #endregion
  return bridge
}

// #region docs
/** Returns how many sockets of this process it went to. */
export function sendTo(bridge: SessionBridge, user: string, message: string): number {
  const contexts = [...bridge.connections({ user })]
  for (const { ws } of contexts) ws?.send(message)
  return contexts.length
}
// #endregion

// #region docs
export async function kick(bridge: SessionBridge, user: string): Promise<number> {
  const { count } = await bridge.everywhere.disconnect({ user }, { code: 4000, reason: 'kicked' })
  return count
}
// #endregion

// #region docs
export async function ban(bridge: SessionBridge, users: UserTable, user: string): Promise<void> {
  await users.setRole(user, undefined)
  await bridge.everywhere.reauthorize({ user })
}
// #endregion

// #region docs
/** For a mount: `bridge.attach(server, wss, { path: '/admin', authorize: isAdmin(users) })`. */
export function isAdmin(users: UserTable): Authorize {
  return async ({ user }) => user !== undefined && (await users.roleOf(user)) === 'admin'
}

/** After it, sockets at `/admin` of a user who is no longer an admin close with 4403, in every process. */
export async function changeRole(bridge: SessionBridge, users: UserTable, user: string, role: string): Promise<void> {
  await users.setRole(user, role)
  await bridge.everywhere.reauthorize({ user })
}
// #endregion

// #region docs
/** Who is connected now, in any process, and whether every process has answered. */
export async function whoIsOnline(bridge: SessionBridge): Promise<{ users: string[]; complete: boolean }> {
  const { connections, complete } = await bridge.everywhere.connections()
  const users = new Set(connections.flatMap(({ user }) => user ?? []))
  return { users: [...users].sort(), complete }
}
// #endregion
