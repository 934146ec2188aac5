import { createRequire } from 'node:module'
import { RedisStore } from 'connect-redis'
import type { SessionData } from 'express-session'
import { redisLiveStore } from 'ws-session-bridge/redis'
import { ExpressStore } from '../../src/store/express-store.js'
import { startRedisStore } from '../support/redis.js'
import { describeLiveStore } from '../store/live-store-suite.js'

describeLiveStore('connect-redis by its own methods', async () => {
  const { store } = await startRedisStore()
  return { store, live: new ExpressStore(store) }
})

const { version: redisVersion } = createRequire(import.meta.url)('redis/package.json') as { version: string }

type Options = Omit<ConstructorParameters<typeof RedisStore>[0], 'client' | 'prefix'>

const variants: Record<string, Options> = {
  'with a ttl': { ttl: 3600 },
  'with a ttl for each session': { ttl: ({ cookie }) => (cookie.originalMaxAge === null ? 600 : 30) },
  'with disableTTL': { disableTTL: true },
  'with disableTouch': { disableTouch: true },
  'with a serializer of its own': {
    serializer: {
      stringify: (session) => `v1 ${JSON.stringify(session)}`,
      parse: (text) => JSON.parse(text.slice(3)) as SessionData,
    },
  },
  'with a serializer that takes its time': {
    serializer: {
      stringify: (session) => JSON.stringify({ payload: session }),
      parse: async (text) => {
        await new Promise(setImmediate)
        return (JSON.parse(text) as { payload: SessionData }).payload
      },
    },
  },
}

for (const [name, options] of Object.entries(variants)) {
  describeLiveStore(`redisLiveStore ${name}`, async () => {
    const { client, prefix } = await startRedisStore()
    const store = new RedisStore({ client, prefix, ...options })
    const ignoresTouch = store.disableTTL || store.disableTouch
    return { store, live: redisLiveStore(store), ignoresTouch }
  })
}

// redis 6.0 knows no `keyPrefix`, and ignores it.
if (!redisVersion.startsWith('6.0.')) {
  describeLiveStore('redisLiveStore without a prefix, on a client that has one', async () => {
    const { client, prefix } = await startRedisStore()
    const prefixed = client.duplicate({ keyPrefix: prefix })
    await prefixed.connect()
    const store = new RedisStore({ client: prefixed, prefix: '' })
    const live = redisLiveStore(store)
    return { store, live }
  })
}
