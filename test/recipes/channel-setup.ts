// Stores that are live on every process, by a channel or by PostgreSQL itself.
import connectPgSimple from 'connect-pg-simple'
import session, { type Store } from 'express-session'
import pg from 'pg'
import { createClient } from 'redis'
import { announceChanges, createSessionBridge, type SessionBridgeOptions } from 'ws-session-bridge'
import { postgresLiveStore, postgresTrigger } from 'ws-session-bridge/postgres'
import { redisChannel } from 'ws-session-bridge/redis'

export async function bridgeOnRedisChannel(sessionOptions: SessionBridgeOptions['session'], url: string) {
  // #region docs
  const client = await createClient({ url }).on('error', console.error).connect()
  const channel = redisChannel(client, { name: 'my-app' })
  const bridge = createSessionBridge({ session: sessionOptions, channel })
  // #endregion
  return { client, bridge }
}

export async function announceOnRedisChannel(store: Store, secret: string, url: string) {
  // #region docs
  const client = await createClient({ url }).on('error', console.error).connect()
  const stop = announceChanges(store, { secret, channel: redisChannel(client, { name: 'my-app' }) })
  // #endregion
  return { client, stop }
}

export async function bridgeOnPostgres(
  sessionOptions: Omit<SessionBridgeOptions['session'], 'store'>,
  connectionString: string,
) {
  // #region docs
  const pool = new pg.Pool({ connectionString }).on('error', console.error)
  const store = new (connectPgSimple(session))({ pool, createTableIfMissing: true })
  const live = postgresLiveStore(pool, { newClient: () => new pg.Client({ connectionString }) })
  const bridge = createSessionBridge({ session: { ...sessionOptions, store }, live })
  // #endregion
  return { pool, store, bridge }
}

/** Once, with the app's migrations, after the table of the sessions has been created. */
export async function migrate(pool: pg.Pool): Promise<void> {
  // #region docs
  await pool.query(postgresTrigger())
  // #endregion
}
