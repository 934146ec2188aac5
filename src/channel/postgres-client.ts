/*
 * A connection to PostgreSQL on which NOTIFY is heard.
 */
import type { Connector } from '../internal/persistent-connection.js'

/** What is used of a `Client` of the package `pg`, version 8. */
export interface PostgresClient {
  /** Connects. Rejects when it cannot. */
  connect(): Promise<unknown>
  /** Runs a statement. Rejects when it fails. */
  query(text: string, values?: unknown[]): Promise<PostgresResult>
  /** Registers a listener of what NOTIFY tells. */
  on(event: 'notification', listener: (notification: PostgresNotification) => void): unknown
  /** Registers a listener of a failed connection. */
  on(event: 'error', listener: (error: Error) => void): unknown
  /** Registers a listener of the connection's end. */
  on(event: 'end', listener: () => void): unknown
  /** Closes the connection. Rejects when it cannot do so in order. */
  end(): Promise<unknown>
}

/** What a statement gives. */
export interface PostgresResult {
  /** Its rows. */
  readonly rows: Record<string, unknown>[]
}

/** What NOTIFY tells. */
export interface PostgresNotification {
  /** The name after NOTIFY. */
  readonly channel: string
  /** The text that comes with it. */
  readonly payload?: string | undefined
}

/** What `pg` has besides, in most of its versions. */
interface Inner {
  unref?(): void
  readonly connection?: { readonly stream?: { destroy?(): void } }
}

export interface ListenerSettings {
  readonly newClient: () => PostgresClient
  /** Called once it is connected: it finds out what to listen to, and may refuse. */
  readonly prepare: (client: PostgresClient) => Promise<string>
  /** Asks the other end whether it is there, and all is as it was. */
  readonly check: (client: PostgresClient) => Promise<unknown>
  readonly onNotification: (payload: string) => void
}

/** Connections of the bridge's own: a pool's may serve another query a moment later, and do not listen for long. */
export function listenerConnector(settings: ListenerSettings): Connector<PostgresClient> {
  const { newClient, prepare, check, onNotification } = settings
  return {
    create(onLost) {
      const client = newClient()
      client.on('error', onLost)
      client.on('end', onLost)
      client.on('notification', ({ payload = '' }) => {
        onNotification(payload)
      })
      return client
    },
    async open(client) {
      await client.connect()
      const inner = client as Inner
      inner.unref?.()
      await client.query(`LISTEN ${quoted(await prepare(client))}`)
    },
    check,
    destroy(client) {
      client.end().catch(noop)
      // A server that is silent would keep it half open.
      const inner = client as Inner
      inner.connection?.stream?.destroy?.()
    },
  }
}

/** An identifier as PostgreSQL takes it, whatever is in it. */
export function quoted(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`
}

function noop(): void {
  // It is closed, one way or the other.
}
