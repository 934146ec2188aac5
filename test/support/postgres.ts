// PostgreSQL: a server of the file's own, and pools and tables on it.
import { randomBytes } from 'node:crypto'
import connectPgSimple from 'connect-pg-simple'
import session from 'express-session'
import pg from 'pg'
import { postgresTrigger } from 'ws-session-bridge/postgres'
import { atEnd } from './at-end.js'
import { spawnPostgresServer, type PostgresServer } from './postgres-server.js'

const PgStore = connectPgSimple(session)

/** A server of the test's own, or of the file's if it is started outside a test. */
export async function startPostgresServer(options?: { encoding?: string }): Promise<PostgresServer> {
  const server = await spawnPostgresServer(options)
  atEnd(() => server.stop())
  return server
}

/** A pool of the app, closed at the test's end. */
export function startPool(url: string, options: pg.PoolConfig = {}): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, ...options })
  // A server that a fault test stops is no error of the test.
  pool.on('error', () => undefined)
  atEnd(() => pool.end())
  return pool
}

interface PgStoreOptions {
  trigger?: boolean
  pool?: pg.Pool
  /** One that is there already, for a second store on it. */
  tableName?: string
}

/** A store, by default with a table of its own, which has the trigger unless it is to have none. */
export async function startPgStore(url: string, options: PgStoreOptions = {}) {
  const { trigger = true, pool = startPool(url), tableName = `session_${randomBytes(6).toString('hex')}` } = options
  const store = new PgStore({ pool, tableName, createTableIfMissing: false, pruneSessionInterval: false })
  if (options.tableName !== undefined) return { pool, store, tableName, newClient: () => new pg.Client(url) }
  await pool.query(
    `CREATE TABLE "${tableName}" (sid varchar NOT NULL PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)`,
  )
  if (trigger) await pool.query(postgresTrigger({ tableName }))
  return { pool, store, tableName, newClient: () => new pg.Client(url) }
}
