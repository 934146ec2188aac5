/*
 * The subscriber on a client of ioredis.
 */
import type { RedisSubscriber, SubscriberSettings } from './redis-subscriber.js'

/** What is used of a client of one server, which may be one that a Sentinel names. */
export interface IoredisClient {
  readonly status: string
  readonly stream?: { unref?(): unknown } | undefined
  duplicate(overrides: object): unknown
  on(event: string, listener: (...args: unknown[]) => void): unknown
  connect(): Promise<unknown>
  subscribe(name: string): Promise<unknown>
  unsubscribe(name: string): Promise<unknown>
  disconnect(): void
}

/** A duplicate of the client, with the client's own settings but for what would reconnect by itself or make a command wait. */
export function createIoredisSubscriber(client: IoredisClient, settings: SubscriberSettings): RedisSubscriber {
  const { name, timeoutMs, onMessage, onLost } = settings
  const own = client.duplicate({
    lazyConnect: true,
    retryStrategy: null,
    sentinelRetryStrategy: null,
    reconnectOnError: null,
    enableOfflineQueue: false,
    autoResubscribe: false,
    connectTimeout: timeoutMs,
    commandTimeout: undefined,
    // It would end a connection that is idle.
    socketTimeout: undefined,
    // A node of a Cluster that is a replica hears all messages, too.
    readOnly: false,
  }) as IoredisClient
  own.on('error', noop)
  own.on('close', onLost)
  own.on('end', onLost)
  own.on('message', (from, message) => {
    if (from === name) onMessage(String(message))
  })
  return {
    async open() {
      await own.connect()
      own.stream?.unref?.()
      await own.subscribe(name)
    },
    async check() {
      await own.subscribe(`${name}:check`)
      await own.unsubscribe(`${name}:check`)
    },
    destroy() {
      own.disconnect()
    },
  }
}

function noop(): void {
  // An error is followed by 'close'.
}
