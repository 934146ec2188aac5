/*
 * The channel on PostgreSQL: LISTEN and NOTIFY on one connection of its own.
 */
import { ChannelUnavailableError } from '../errors.js'
import { assertDurationMs, assertOptions } from '../internal/option-checks.js'
import { PersistentConnection } from '../internal/persistent-connection.js'
import { defaultTimeoutMs, type Channel, type Transport } from './channel.js'
import { channelErrors, throwSecondSubscriber } from './channel-errors.js'
import { assertName } from './channel-name.js'
import { maxMessageLength, PayloadReader, payloadsOf } from './notify-payload.js'
import { listenerConnector, type PostgresClient } from './postgres-client.js'

/** The options of {@link postgresChannel}. */
export interface PostgresChannelOptions {
  /** Where the processes of one app meet: the same for all of them, another one for other apps. Default 'ws-session-bridge'. */
  name?: string | undefined
  /** How long a message, or opening the connection, may take, in ms. Default 2 000. */
  timeoutMs?: number | undefined
}

/**
 * A channel on PostgreSQL's LISTEN and NOTIFY, for any session store.
 *
 * It opens one connection, on first use. Connect directly to the server, or through a pooler in session mode: LISTEN does not work in
 * transaction mode. Whoever may connect to the database may tell and listen there, too: what the bridge tells is signed. A message of
 * more than 8,000 bytes is told in pieces, one of more than 4,000,000 characters is refused.
 *
 * @example
 * ```ts
 * const channel = postgresChannel(() => new pg.Client(connectionString))
 * const bridge = createSessionBridge({ session: sessionOptions, channel })
 * ```
 * @param newClient called for each attempt to connect: returns a new `Client` of `pg`, not connected yet.
 * @throws {TypeError} for what is no function, and for a wrong or unknown option.
 */
export function postgresChannel(newClient: () => PostgresClient, options: PostgresChannelOptions = {}): Channel {
  if (typeof newClient !== 'function') {
    throw new TypeError(
      'postgresChannel: pass a function that makes a client: `() => new pg.Client(connectionString)`.',
    )
  }
  assertOptions(options, ['name', 'timeoutMs'], 'postgresChannel', "{ name: 'my-app' }")
  const { name = 'ws-session-bridge', timeoutMs = defaultTimeoutMs } = options
  assertName(name, 'postgresChannel: `name`')
  assertDurationMs(timeoutMs, 'postgresChannel: `timeoutMs`')
  return new PostgresChannel(newClient, name, timeoutMs)
}

class PostgresChannel implements Transport {
  readonly timeoutMs: number
  readonly #name: string
  readonly #connection: PersistentConnection<PostgresClient>
  #reader = new PayloadReader()
  #listener: { readonly onMessage: (message: string) => void; readonly onGap: () => void } | undefined
  #onFault: (error: Error) => void = () => undefined

  constructor(newClient: () => PostgresClient, name: string, timeoutMs: number) {
    this.timeoutMs = timeoutMs
    this.#name = name
    this.#connection = new PersistentConnection(
      listenerConnector({
        newClient,
        prepare: () => Promise.resolve(name),
        check: (client) => client.query('SELECT 1'),
        onNotification: (payload) => {
          const message = this.#reader.read(payload)
          if (message !== undefined) this.#listener?.onMessage(message)
        },
      }),
      {
        onOpen: () => {
          this.#reader = new PayloadReader()
          // What was told before the first time was missed, too.
          this.#listener?.onGap()
        },
        onFailure: (error) => this.#onFault(error),
      },
      { timeoutMs, errors: channelErrors },
    )
  }

  async publish(message: string): Promise<void> {
    if (message.length > maxMessageLength) {
      throw new ChannelUnavailableError(`The message has more than ${maxMessageLength} characters.`)
    }
    // One statement is one transaction.
    await this.#connection.use((client) =>
      client.query('SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload', [
        this.#name,
        payloadsOf(message),
      ]),
    )
  }

  subscribe(onMessage: (message: string) => void, onGap: () => void): void {
    if (this.#listener !== undefined) throwSecondSubscriber('postgresChannel(newClient)')
    this.#listener = { onMessage, onGap }
    // It may be open already, for what was published.
    if (this.#connection.isOpen) setImmediate(onGap)
    this.#connection.start()
  }

  onFault(listener: (error: Error) => void): void {
    this.#onFault = listener
  }

  close(): Promise<void> {
    return this.#connection.close()
  }
}
