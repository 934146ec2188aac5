/*
 * Hears what the trigger tells.
 */
import { createHash } from 'node:crypto'

import { listenerConnector, type PostgresClient } from '../channel/postgres-client.js'
import { StoreUnavailableError } from '../errors.js'
import { asStoreError } from '../internal/call-timeouts.js'
import { PersistentConnection } from '../internal/persistent-connection.js'
import { channelPrefix, functionName } from './postgres-trigger.js'

export interface ChangeListenerDependencies {
  readonly newClient: () => PostgresClient
  /** Quoted. */
  readonly table: string
  readonly timeoutMs: number
  /** A session has changed, or `undefined`: any may have. */
  readonly onChange: (sessionID: string | undefined) => void
  readonly onFault: (error: Error) => void
}

/** Where nothing is heard, everything is to be checked this often, in ms. */
const deafCheckMs = 30_000

const errors = {
  tooLate: () => new StoreUnavailableError('PostgreSQL did not answer in time.'),
  failed: asStoreError,
  closed: () => new StoreUnavailableError('The bridge is closed.'),
}

/** On a connection of its own that stays open. What was missed while there was none is told as a change of everything. */
export class ChangeListener {
  readonly #deps: ChangeListenerDependencies
  readonly #connection: PersistentConnection<PostgresClient>
  readonly #watched = new Map<string, string>()
  /** The marks of own writes that are not to be told, since whoever wrote knows. */
  readonly #ownWrites = new Set<string>()
  #started: Promise<void> | undefined
  #onStarted: () => void = () => undefined
  #isStarted = false
  #isDeaf = true
  #faultTold = false
  #timer: NodeJS.Timeout | undefined

  constructor(deps: ChangeListenerDependencies) {
    this.#deps = deps
    this.#connection = new PersistentConnection(
      listenerConnector({
        newClient: deps.newClient,
        prepare: (client) => this.#prepare(client),
        check: async (client) => {
          const { channel, hasTrigger } = await this.#look(client)
          // Made anew, or given its trigger meanwhile: connected again, all of that is found out.
          if (channel !== this.#channel || hasTrigger === this.#isDeaf) throw new Error('The table has changed.')
        },
        onNotification: this.#onNotification,
      }),
      { onOpen: this.#onOpen, onFailure: this.#onFailure },
      { timeoutMs: deps.timeoutMs, errors },
    )
  }

  #channel = ''

  /** Begins to listen; resolves when the first attempt is over, well or not. Never rejects. */
  start(): Promise<void> {
    if (this.#started !== undefined) return this.#started
    this.#started = new Promise((resolve) => (this.#onStarted = resolve))
    this.#timer = setInterval(() => {
      if (this.#isDeaf || !this.#connection.isOpen) this.#deps.onChange(undefined)
    }, deafCheckMs).unref()
    this.#connection.start()
    return this.#started
  }

  watch(sessionID: string): void {
    this.#watched.set(hashOf(sessionID), sessionID)
  }

  unwatch(sessionID: string): void {
    this.#watched.delete(hashOf(sessionID))
  }

  /** The write with this mark is not told. Without a listener it never would be. */
  expectOwnWrite(writer: string): void {
    if (this.#connection.isOpen) this.#ownWrites.add(writer)
  }

  /** What became of it is not known: it is told, when it is done after all. */
  forgetOwnWrite(writer: string): void {
    this.#ownWrites.delete(writer)
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.#onStarted()
    await this.#connection.close()
  }

  async #prepare(client: PostgresClient): Promise<string> {
    const { channel, hasTrigger } = await this.#look(client)
    this.#channel = channel
    this.#isDeaf = !hasTrigger
    if (!hasTrigger) {
      this.#fault(
        'The table of sessions has no trigger: what other processes change is looked for every 30 s. Run the SQL of `postgresTrigger()`.',
      )
    }
    return channel
  }

  async #look(client: PostgresClient): Promise<{ channel: string; hasTrigger: boolean }> {
    const { rows } = await client.query(
      `SELECT oid, (SELECT count(*) FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
         WHERE tgrelid = pg_class.oid AND proname = $2 AND tgenabled <> 'D') AS triggers
       FROM pg_class WHERE oid = to_regclass($1)`,
      [this.#deps.table, functionName],
    )
    const [found] = rows
    if (found === undefined) throw new Error('There is no such table.')
    return { channel: channelPrefix + String(found.oid), hasTrigger: Number(found.triggers) >= 2 }
  }

  readonly #onOpen = (): void => {
    this.#ownWrites.clear()
    if (!this.#isDeaf) this.#faultTold = false
    // Before the first attempt is over nothing has been read.
    if (this.#isStarted) this.#deps.onChange(undefined)
    this.#isStarted = true
    this.#onStarted()
  }

  readonly #onFailure = (error: Error): void => {
    this.#isStarted = true
    this.#onStarted()
    this.#fault('PostgreSQL cannot be listened to: what other processes change is looked for every 30 s.', error.cause)
  }

  readonly #onNotification = (payload: string): void => {
    if (payload === '*') return this.#deps.onChange(undefined)
    const [hash = '', writer = ''] = payload.split(' ')
    if (this.#ownWrites.delete(writer)) return
    const sessionID = this.#watched.get(hash)
    if (sessionID !== undefined) this.#deps.onChange(sessionID)
  }

  /* Once for an outage. */
  #fault(message: string, cause?: unknown): void {
    if (this.#faultTold) return
    this.#faultTold = true
    this.#deps.onFault(new Error(message, { cause }))
  }
}

/* As the trigger does it. */
function hashOf(sessionID: string): string {
  return createHash('sha256').update(sessionID).digest('hex').slice(0, 32)
}
