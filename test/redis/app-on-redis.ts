// an app on it whose bridge hears by redisLiveStore, and its sessions as Redis holds them.
import { RedisStore } from 'connect-redis'
import type { SessionContext } from 'ws-session-bridge'
import { redisLiveStore, type RedisLiveStoreOptions } from 'ws-session-bridge/redis'
import { startApp, type AppOptions } from '../support/app.js'
import { open } from '../support/client.js'
import { startRedisStore, type RedisCluster } from '../support/redis.js'
import { recordOf } from '../store/live-store-suite.js'

type StoreOptions = Omit<ConstructorParameters<typeof RedisStore>[0], 'client'>

export interface AppOnRedisOptions extends Omit<AppOptions, 'store'> {
  /** Default: the server that all tests share. */
  url?: string | undefined
  cluster?: RedisCluster | undefined
  store?: StoreOptions
  live?: RedisLiveStoreOptions
}

interface PutOptions {
  maxAge?: number | null
  /** When the key expires, in ms from now. */
  px?: number
  /** When the record says it does. */
  date?: number
}

export async function startOnRedis({ url, cluster, store: storeOptions, live, ...options }: AppOnRedisOptions = {}) {
  const redis = await startRedisStore(cluster ?? url)
  const store = new RedisStore({ client: redis.client, prefix: redis.prefix, ttl: 3600, ...storeOptions })
  const app = await startApp({ ...options, store, bridge: { ...options.bridge, live: redisLiveStore(store, live) } })
  const { client } = redis
  const { prefix } = store
  const keyOf = (sessionID: string) => prefix + sessionID

  return {
    ...app,
    client,
    prefix,
    store,
    keyOf,
    /** Writes a record by hand, with an expiry in ms that its own date need not know of. */
    async put(sessionID: string, data: object, { maxAge, px = 60_000, date = px }: PutOptions = {}) {
      const record = JSON.parse(JSON.stringify(recordOf(data, maxAge))) as { cookie: { expires: string | null } }
      if (maxAge !== null) record.cookie.expires = new Date(Date.now() + date).toISOString()
      const text = JSON.stringify(record)
      await client.set(keyOf(sessionID), text, { expiration: { type: 'PX', value: px } })
    },
    /** Resolves when Redis gets such a command for one of these sessions. */
    async command(name: string) {
      const monitor = client.duplicate()
      await monitor.connect()
      try {
        await new Promise<void>((resolve, reject) => {
          const told = monitor.monitor((line) => {
            if (line.includes(`"${name}" "${prefix}`)) resolve()
          })
          told.catch(reject)
        })
      } finally {
        monitor.destroy()
      }
    },
    /** A socket of that session, with its context and what becomes of it. */
    async connect(sessionID: string) {
      const { promise: accepted, resolve } = withResolvers<SessionContext>()
      const hear = (context: SessionContext | undefined) => {
        if (context?.sessionID === sessionID) resolve(context)
      }
      app.bridge.on('accept', hear)
      const socket = await open(app.wsUrl, { cookie: app.bridge.signedCookie(sessionID) })
      const context = await accepted
      app.bridge.off('accept', hear)
      return { ...socket, context, ...eventsOf(context) }
    },
  }
}

function eventsOf(context: SessionContext) {
  const changes: unknown[] = []
  context.on('change', (session) => changes.push(session))
  const ended = new Promise<{ reason: string; code: number; at: number }>((resolve) => {
    context.on('end', (end) => {
      resolve({ ...end, at: Date.now() })
    })
  })
  const nextChange = () =>
    new Promise<unknown>((resolve) => {
      context.once('change', resolve)
    })
  return { changes, ended, nextChange }
}

function withResolvers<T>() {
  let resolve!: (value: T) => void
  const promise = new Promise<T>((settle) => (resolve = settle))
  return { promise, resolve }
}
