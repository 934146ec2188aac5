// A ban that holds, and a role that is in a table: what `authorize` reads is data, and `everywhere` makes it quick.
// #region docs
import type { Authorize, EverywhereResult, SessionBridge } from 'ws-session-bridge'

/** A table with a row for each user. */
export interface Accounts {
  find(user: string): Promise<{ role: string; isBanned: boolean } | undefined>
  save(user: string, changes: { role?: string; isBanned?: boolean }): Promise<void>
}

/** For the option `authorize`, with `identify: (session) => session.user`: a user who is not banned. */
export function isWelcome(accounts: Accounts): Authorize {
  return async ({ user }) => {
    const account = user === undefined ? undefined : await accounts.find(user)
    return account?.isBanned === false
  }
}

/** For `authorize` of the mount of `/admin`: asked after the bridge's own. */
export function isAdmin(accounts: Accounts): Authorize {
  return async ({ user }) => user !== undefined && (await accounts.find(user))?.role === 'admin'
}

/** The row first: whoever connects from now on is refused. Then the sockets that are open, in every process. */
export async function ban(bridge: SessionBridge, accounts: Accounts, user: string): Promise<EverywhereResult> {
  await accounts.save(user, { isBanned: true })
  return await bridge.everywhere.reauthorize({ user })
}

export async function setRole(bridge: SessionBridge, accounts: Accounts, user: string, role: string): Promise<void> {
  await accounts.save(user, { role })
  await bridge.everywhere.reauthorize({ user })
}
// #endregion
