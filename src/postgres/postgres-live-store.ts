/*
 * The LiveStore on connect-pg-simple's table: hears of every change by a trigger, and compares and writes in one statement.
 */
import { randomBytes } from 'node:crypto'

import type { SessionData } from 'express-session'

import type { PostgresClient } from '../channel/postgres-client.js'
import { asStoreError, CallTimeouts } from '../internal/call-timeouts.js'
import { assertDurationMs, assertOptions } from '../internal/option-checks.js'
import type { LiveStore, ReplaceResult, StoredSession } from '../store/live-store.js'
import { draftOf, type SessionSnapshot } from '../store/snapshot.js'
import { BatchReader } from './batch-reader.js'
import { ChangeListener } from './change-listener.js'
import { PostgresSession, sessionOf, type RawSession } from './postgres-session.js'
import { SessionTable, type PostgresPool, type Row } from './session-table.js'
import { tableNameOf, type PostgresTableOptions } from './table-name.js'

/** The options of {@link postgresLiveStore}. `tableName`, `schemaName` and `ttl` are those of connect-pg-simple. */
export interface PostgresLiveStoreOptions extends PostgresTableOptions {
  /** Called for each attempt to connect: returns a new `Client` of `pg` for the same database, not connected yet. */
  newClient: () => PostgresClient
  /** How long any statement may take, in ms. Default 2 000. Below `handshakeTimeoutMs`, so that a handshake is told the reason. */
  timeoutMs?: number | undefined
  /** How long a session lasts whose cookie ends with the browser, in seconds. Default 86 400: that of the store, a day. */
  ttl?: number | undefined
}

const names = ['newClient', 'tableName', 'schemaName', 'timeoutMs', 'ttl']

/**
 * A LiveStore for sessions that connect-pg-simple keeps: every process hears of every change within milliseconds, whoever made it. The
 * table needs the trigger of {@link postgresTrigger}.
 *
 * Statements run on the pool, which should be that of the store: `expire` has no time zone, and is in that of the connection. For LISTEN
 * it opens one connection, on first use, which must lead to the server directly, or through a pooler in session mode. It belongs to one
 * bridge.
 *
 * @example
 * ```ts
 * const pool = new pg.Pool({ connectionString })
 * const store = new PgStore({ pool })
 * await pool.query(postgresTrigger())
 * const live = postgresLiveStore(pool, { newClient: () => new pg.Client({ connectionString }) })
 * const bridge = createSessionBridge({ session: { ...sessionOptions, store }, live })
 * ```
 * @throws {TypeError} for what is no pool, and for a wrong or unknown option.
 */
export function postgresLiveStore(pool: PostgresPool, options: PostgresLiveStoreOptions): LiveStore {
  const given: unknown = pool
  if (typeof given !== 'object' || given === null || typeof Reflect.get(given, 'query') !== 'function') {
    throw new TypeError('postgresLiveStore: the first argument must be a Pool of `pg`, the one that the store uses.')
  }
  const {
    newClient,
    timeoutMs = 2_000,
    ttl = 86_400,
  } = (options as Partial<PostgresLiveStoreOptions> | undefined) ?? {}
  if (typeof newClient !== 'function') {
    throw new TypeError('postgresLiveStore: `newClient` is required: `() => new pg.Client(connectionString)`.')
  }
  assertOptions(options, names, 'postgresLiveStore', '{ newClient: () => new pg.Client(connectionString) }')
  assertDurationMs(timeoutMs, 'postgresLiveStore: `timeoutMs`')
  if (typeof ttl !== 'number' || !(ttl > 0)) throw new TypeError('postgresLiveStore: `ttl` must be seconds above 0.')
  const { table } = tableNameOf(options, 'postgresLiveStore')
  return new PostgresLiveStore(pool, { newClient, table, timeoutMs, ttl })
}

interface Settings {
  readonly newClient: () => PostgresClient
  readonly table: string
  readonly timeoutMs: number
  readonly ttl: number
}

class PostgresLiveStore implements LiveStore {
  readonly #calls: CallTimeouts
  readonly #table: SessionTable
  readonly #reader: BatchReader
  readonly #listener: ChangeListener
  readonly #ttl: number
  /** Marks what this one writes. */
  readonly #name = randomBytes(6).toString('base64url')
  #writes = 0
  #onChange: ((sessionID: string | undefined) => void) | undefined
  #onFault: (error: Error) => void = () => undefined

  constructor(pool: PostgresPool, { newClient, table, timeoutMs, ttl }: Settings) {
    this.#ttl = ttl
    this.#calls = new CallTimeouts(timeoutMs)
    this.#table = new SessionTable(pool, table, this.#calls)
    this.#reader = new BatchReader(this.#table)
    this.#listener = new ChangeListener({
      newClient,
      table,
      timeoutMs,
      onChange: (sessionID) => this.#onChange?.(sessionID),
      onFault: (error) => {
        this.#onFault(error)
      },
    })
  }

  async get(sessionID: string, held?: StoredSession): Promise<StoredSession | undefined> {
    // PostgreSQL keeps no such text.
    if (sessionID.includes('\0')) return undefined
    const row = await this.#calls.within(async () => {
      // What is read before the connection listens would have to be read again.
      await this.#listener.start()
      return await this.#reader.read(sessionID)
    })
    return row && this.#stored(row, held)
  }

  async replace(sessionID: string, expected: StoredSession, next: SessionData): Promise<ReplaceResult> {
    if (!(expected instanceof PostgresSession)) {
      // Read by another store, or no session at all: nothing that one could compare with.
      const current = await this.get(sessionID)
      return current === undefined ? 'gone' : { changed: current }
    }
    const result = await this.#write(sessionID, expected, next)
    if (result === 'gone') return 'gone'
    const stored = this.#stored(result.row, undefined)
    return result.written ? { replaced: stored } : { changed: stored }
  }

  async #write(sessionID: string, expected: PostgresSession, next: SessionData) {
    this.#writes += 1
    const writer = `${this.#name}.${this.#writes}`
    this.#listener.expectOwnWrite(writer)
    try {
      const result = await this.#table.replace(sessionID, expected.raw, textOf(expected, next), writer)
      if (result === 'gone' || !result.written) this.#listener.forgetOwnWrite(writer)
      return result
    } catch (error) {
      this.#listener.forgetOwnWrite(writer)
      if (!isSerializationFailure(error)) throw error
      // With a stricter isolation than the default, another writer's write is told so.
      const row = await this.#reader.read(sessionID)
      return row === undefined ? 'gone' : { written: false, row }
    }
  }

  async touch(sessionID: string): Promise<'touched' | 'gone'> {
    return (await this.#table.touch(sessionID, this.#ttl)) ? 'touched' : 'gone'
  }

  async destroy(sessionID: string): Promise<void> {
    await this.#table.destroy(sessionID)
  }

  watch(sessionID: string): void {
    this.#listener.watch(sessionID)
    void this.#listener.start()
  }

  unwatch(sessionID: string): void {
    this.#listener.unwatch(sessionID)
  }

  /* With a second listener, the first bridge would no longer hear of any logout, and nothing would say so. */
  onChange(listener: (sessionID: string | undefined) => void): void {
    if (this.#onChange !== undefined) {
      throw new TypeError(
        'Option `live`: this LiveStore belongs to another bridge, and tells its changes to that one alone. ' +
          'Make one for each: `live: postgresLiveStore(pool, { newClient })`.',
      )
    }
    this.#onChange = listener
  }

  onFault(listener: (error: Error) => void): void {
    this.#onFault = listener
  }

  async close(): Promise<void> {
    const closed = this.#listener.close()
    this.#calls.close()
    await closed
  }

  #stored({ raw, expiresAt }: Row, held: StoredSession | undefined): RawSession {
    if (held instanceof PostgresSession && held.raw === raw) {
      return held.expiresAt === expiresAt ? held : new PostgresSession(raw, held.snapshot, expiresAt)
    }
    return sessionOf(raw, expiresAt)
  }
}

/* As HTTP would write it. The cookie's date stays: the row keeps its expiry, and the date must never be later. */
function textOf(expected: PostgresSession, next: SessionData): string {
  const draft = draftOf(next as unknown as SessionSnapshot)
  draft.cookie.expires = expected.snapshot.cookie.expires
  return JSON.stringify(draft)
}

/** PostgreSQL, appendix A: serialization_failure, deadlock_detected. */
function isSerializationFailure(error: unknown): boolean {
  const { cause } = asStoreError(error)
  return (
    typeof cause === 'object' && cause !== null && 'code' in cause && ['40001', '40P01'].includes(String(cause.code))
  )
}
