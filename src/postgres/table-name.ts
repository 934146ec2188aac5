/*
 * The table of sessions, as connect-pg-simple names it.
 */
import { quoted } from '../channel/postgres-client.js'

/** Where connect-pg-simple keeps the sessions: the same values as in its own options. */
export interface PostgresTableOptions {
  /** Default 'session'. */
  tableName?: string | undefined
  /** Default: the first schema of the connection's `search_path` that has the table. */
  schemaName?: string | undefined
}

/**
 * The schema, with a dot, and the table, both quoted.
 *
 * @throws {TypeError} for a name that is none.
 */
export function tableNameOf(options: PostgresTableOptions, what: string): { schema: string; table: string } {
  const { tableName = 'session', schemaName } = options
  for (const [option, name] of Object.entries({ tableName, schemaName })) {
    if (name === undefined || (typeof name === 'string' && name !== '' && !name.includes('\0'))) continue
    throw new TypeError(`${what}: \`${option}\` must be a string that is not empty.`)
  }
  const schema = schemaName === undefined ? '' : `${quoted(schemaName)}.`
  return { schema, table: schema + quoted(tableName) }
}
