/*
 * The subscriber on a client of the package `redis`, versions 4 to 6.
 */
import type { RedisSubscriber, SubscriberSettings } from './redis-subscriber.js'

/** What all versions have in common. */
export interface NodeRedisClient {
  readonly isOpen: boolean
  readonly options?: { readonly socket?: object } | undefined
  duplicate(overrides: object): unknown
  on(event: string, listener: (...args: unknown[]) => void): unknown
  connect(): Promise<unknown>
  subscribe(name: string, listener: (message: string) => void): Promise<unknown>
  unsubscribe(name: string, listener: (message: string) => void): Promise<unknown>
  /** From version 5 on; before, `disconnect`. */
  destroy?(): void
  disconnect?(): Promise<unknown>
  unref?(): void
}

/** A duplicate of the client, with the client's own settings but for what would reconnect by itself or make a command wait. */
export function createNodeRedisSubscriber(client: NodeRedisClient, settings: SubscriberSettings): RedisSubscriber {
  const { name, timeoutMs, onMessage, onLost } = settings
  const own = client.duplicate({
    disableOfflineQueue: true,
    pingInterval: undefined,
    clientSideCache: undefined,
    emitInvalidate: false,
    maintNotifications: 'disabled',
    legacyMode: false,
    commandOptions: { timeout: undefined, typeMapping: {} },
    socket: {
      ...client.options?.socket,
      reconnectStrategy: false,
      connectTimeout: timeoutMs,
      // They would end a connection that is idle.
      socketTimeout: undefined,
      timeout: undefined,
    },
  }) as NodeRedisClient
  let destroyed = false
  const destroy = (): void => {
    destroyed = true
    if (own.isOpen) closeNow(own)
  }
  own.on('error', () => {
    destroy()
    onLost()
  })
  own.on('end', onLost)
  return {
    async open() {
      await own.connect()
      // Some versions carry on with a TCP connection that opens after destroy().
      if (destroyed) {
        closeNow(own)
        return
      }
      own.unref?.()
      await own.subscribe(name, onMessage)
    },
    async check() {
      const probe = `${name}:check`
      await own.subscribe(probe, noop)
      await own.unsubscribe(probe, noop)
    },
    destroy,
  }
}

/* Some versions throw, others reject, where it is closed already. */
function closeNow(own: NodeRedisClient): void {
  try {
    if (typeof own.destroy === 'function') own.destroy()
    else own.disconnect?.().catch(noop)
  } catch {
    // It is closed.
  }
}

function noop(): void {
  // Nothing is told on the probe, and nothing is lost with a connection that is closed.
}
