/*
 * The statements on the table of sessions, on the app's pool, each within a deadline.
 */
import { StoreUnavailableError } from '../errors.js'
import type { PostgresResult } from '../channel/postgres-client.js'
import type { CallTimeouts } from '../internal/call-timeouts.js'
import { writerSetting } from './postgres-trigger.js'

/** What is used of a `Pool` of the package `pg`, version 8. */
export interface PostgresPool {
  /** Runs a statement on one of its connections. Rejects when it fails. */
  query(text: string, values?: unknown[]): Promise<PostgresResult>
}

/** A row as it is read. */
export interface Row {
  readonly raw: string
  /** In ms since the epoch. */
  readonly expiresAt: number
}

/** What became of a compare-and-set. */
export type Written = { readonly written: boolean; readonly row: Row } | 'gone'

/** The pool keeps what it cannot run yet: a server that is silent must not collect statements there. */
const maxUnanswered = 1_000

/** `expire` has no time zone: it is in that of the connection, as connect-pg-simple writes and compares it on the same pool. */
export class SessionTable {
  readonly #pool: PostgresPool
  readonly #table: string
  readonly #calls: CallTimeouts
  #unanswered = 0

  /** @param table quoted */
  constructor(pool: PostgresPool, table: string, calls: CallTimeouts) {
    this.#pool = pool
    this.#table = table
    this.#calls = calls
  }

  async read(sessionIDs: readonly string[]): Promise<Map<string, Row>> {
    const rows = await this.#query(
      `SELECT sid, sess::text AS raw, extract(epoch FROM expire::timestamptz) AS expire
       FROM ${this.#table} WHERE sid = ANY($1::text[]) AND expire >= to_timestamp($2)`,
      [sessionIDs, nowInSeconds()],
    )
    return new Map(rows.map((row) => [String(row.sid), rowOf(row)]))
  }

  /**
   * Compares and writes in one statement: the row is locked as it is by now, and written only if it says what is expected.
   *
   * @param writer the mark that the trigger tells along
   */
  async replace(sessionID: string, expected: string, next: string, writer: string): Promise<Written> {
    const [row] = await this.#query(
      `WITH marked AS (SELECT set_config('${writerSetting}', $5, true)),
       held AS (
         SELECT session.sess::text AS raw, session.expire FROM ${this.#table} AS session, marked
         WHERE session.sid = $1 AND session.expire >= to_timestamp($2) FOR UPDATE OF session
       ),
       written AS (
         UPDATE ${this.#table} AS session SET sess = $4 FROM held
         WHERE session.sid = $1 AND held.raw = $3 RETURNING session.sess::text AS raw
       )
       SELECT coalesce(written.raw, held.raw) AS raw, written.raw IS NOT NULL AS written,
         extract(epoch FROM held.expire::timestamptz) AS expire
       FROM held LEFT JOIN written ON true`,
      [sessionID, nowInSeconds(), expected, next, writer],
    )
    return row === undefined ? 'gone' : { written: row.written === true, row: rowOf(row) }
  }

  /** As connect-pg-simple does at the end of a request. Where the cookie has no age, nothing that lasts longer is cut short. */
  async touch(sessionID: string, ttl: number): Promise<boolean> {
    const age = `sess -> 'cookie' ->> 'originalMaxAge'`
    const rows = await this.#query(
      `UPDATE ${this.#table} SET expire = to_timestamp(
         CASE WHEN ${age} ~ '^[0-9]{1,15}([.][0-9]+)?$' THEN ceil(($3::float8 + (${age})::float8) / 1000)
         ELSE greatest(ceil($3::float8 / 1000) + $4::float8, extract(epoch FROM expire::timestamptz)::float8) END)
       WHERE sid = $1 AND expire >= to_timestamp($2) RETURNING 1`,
      [sessionID, nowInSeconds(), Date.now(), ttl],
    )
    return rows.length > 0
  }

  async destroy(sessionID: string): Promise<void> {
    await this.#query(`DELETE FROM ${this.#table} WHERE sid = $1`, [sessionID])
  }

  async #query(text: string, values: unknown[]): Promise<Record<string, unknown>[]> {
    if (this.#unanswered >= maxUnanswered) throw new StoreUnavailableError('The session store does not answer.')
    this.#unanswered += 1
    const { rows } = await this.#calls.within(async () => {
      try {
        return await this.#pool.query(text, values)
      } finally {
        this.#unanswered -= 1
      }
    })
    return rows
  }
}

/** connect-pg-simple's own measure (`currentTimestamp`, which is private there). */
function nowInSeconds(): number {
  return Math.ceil(Date.now() / 1000)
}

/* By that measure a session is over once the second after it has begun. */
function rowOf({ raw, expire }: Record<string, unknown>): Row {
  return { raw: String(raw), expiresAt: Math.floor(Number(expire)) * 1000 + 1 }
}
