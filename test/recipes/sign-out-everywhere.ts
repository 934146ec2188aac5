// all sessions of that user are gone, and with them their sockets on every node.
// #region docs
import { promisify } from 'node:util'
import type { Request } from 'express'
import type { RedisClientType } from 'redis'
import type { SessionBridge } from 'ws-session-bridge'

/** Which sessions a user has: a set in Redis, or a table with a row for each login. */
export interface SessionIndex {
  add(user: string, sessionID: string): Promise<unknown>
  remove(user: string, sessionID: string): Promise<unknown>
  of(user: string): Promise<readonly string[]>
}

/** Resolves to how many sessions there were. All nodes hear of it as of any other logout. */
export async function signOutEverywhere(bridge: SessionBridge, index: SessionIndex, user: string): Promise<number> {
  const sessionIDs = await index.of(user)
  for (const sessionID of sessionIDs) {
    // A session that has expired meanwhile is no error here.
    await bridge.destroy(sessionID)
    await index.remove(user, sessionID)
  }
  return sessionIDs.length
}

/** An index in Redis. Each entry goes `ttlSeconds` after the user's last login: no session must live longer than that. */
export function redisSessionIndex(
  client: Pick<RedisClientType, 'sAdd' | 'expire' | 'sRem' | 'sMembers'>,
  ttlSeconds: number,
  prefix = 'sessions-of:',
): SessionIndex {
  return {
    async add(user, sessionID) {
      await client.sAdd(prefix + user, sessionID)
      await client.expire(prefix + user, ttlSeconds)
    },
    remove: (user, sessionID) => client.sRem(prefix + user, sessionID),
    of: (user) => client.sMembers(prefix + user),
  }
}
// #endregion

// #region docs
/** At the login, once the password has been checked. */
export async function signIn(request: Request, index: SessionIndex, user: string): Promise<void> {
  await promisify(request.session.regenerate).call(request.session)
  request.session.user = user
  await index.add(user, request.sessionID)
}
// #endregion
