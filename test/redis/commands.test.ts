import { createClient } from 'redis'
import { beforeAll, describe, expect, it } from 'vitest'
import { redisLiveStore } from 'ws-session-bridge/redis'
import { CallTimeouts } from '../../src/internal/call-timeouts.js'
import type { RedisClient } from '../../src/redis/dedicated-client.js'
import type { Deployment, Send } from '../../src/redis/deployment.js'
import { KeyWriter } from '../../src/redis/key-writer.js'
import type { CallReportingLiveStore } from '../../src/store/live-store.js'
import { reportsOf } from '../store/live-store-suite.js'
import { atEnd } from '../support/at-end.js'
import { startRedisCluster, startRedisServer, startRedisStore, type RedisCluster } from '../support/redis.js'
import { startOnRedis, type AppOnRedisOptions } from './app-on-redis.js'

type App = Awaited<ReturnType<typeof startOnRedis>>

/** How often each command was called on these servers since the last time. */
function countCommands(urls: readonly string[]) {
  const before = new Map<string, number>()
  const admins = urls.map((url) => createClient({ url }))
  const connected = Promise.all(admins.map((admin) => admin.connect()))
  atEnd(() => {
    for (const admin of admins) admin.destroy()
  })
  return async (): Promise<Record<string, number>> => {
    await connected
    const counts = new Map<string, number>()
    for (const admin of admins) {
      for (const [, name, calls] of (await admin.info('commandstats')).matchAll(/cmdstat_(\S+):calls=(\d+)/g)) {
        counts.set(name!, (counts.get(name!) ?? 0) + Number(calls))
      }
    }
    const since: Record<string, number> = {}
    for (const [name, calls] of counts) {
      if (!/^(expire|get|mget|pttl|eval|evalsha|set|del|getex)$/.test(name)) continue
      const more = calls - (before.get(name) ?? 0)
      if (more > 0) since[name] = more
      before.set(name, calls)
    }
    return since
  }
}

/* Reports arrive on the connection before the answer to what is asked on it later. */
async function settled(app: App) {
  await app.bridge.load('other')
  await app.bridge.load('other')
}

function describeCommands(name: string, options: () => { app: AppOnRedisOptions; urls: readonly string[] }) {
  describe(`what is sent to ${name}`, () => {
    async function started() {
      const { app: appOptions, urls } = options()
      const counted = countCommands(urls)
      const app = await startOnRedis({ ...appOptions, bridge: { keepAlive: 'never' } })
      await app.put('id', { user: 'ada' }, { px: 50_000 })
      const socket = await app.connect('id')
      await settled(app)
      await counted()
      return { app, counted, ...socket }
    }

    it('for a touch is one EXPIRE and the read that has later changes announced; it is not announced itself', async () => {
      const { app, counted, context, nextChange } = await started()
      await context.touch()
      const left = Date.parse(context.session.cookie.expires!) - Date.now()
      expect(left).toBeGreaterThan(55_000)
      expect(left).toBeLessThanOrEqual(60_000)
      const { expire, get = 0, mget = 0, ...others } = await counted()
      expect({ expire, reads: get + mget, others }).toEqual({ expire: 1, reads: 1, others: {} })
      await settled(app)
      expect(await counted()).toMatchObject({})
      const next = nextChange()
      await app.put('id', { user: 'eve' })
      expect(await next).toMatchObject({ user: 'eve' })
    })

    it('for an update is one script with the read that has later changes announced; it is not announced itself', async () => {
      const { app, counted, context, nextChange } = await started()
      // The script has to be sent once.
      await context.update((draft) => void (draft.views = 0))
      await settled(app)
      await counted()
      await context.update((draft) => void (draft.views = 1))
      // The script itself does a GET and a SET.
      const { evalsha, get, set, ...others } = await counted()
      expect({ evalsha, get, set, others }).toEqual({ evalsha: 1, get: 2, set: 1, others: {} })
      const next = nextChange()
      await app.put('id', { user: 'eve' })
      expect(await next).toMatchObject({ user: 'eve' })
    })

    it('for a touch of a session that is gone ends its sockets', async () => {
      const { app, context, ended } = await started()
      void app.client.del(app.keyOf('id'))
      await context.touch().catch(() => undefined)
      expect((await ended).reason).toBe('destroyed')
    })
  })
}

describeCommands('one server', () => ({ app: { url: server.url }, urls: [server.url] }))
let server: Awaited<ReturnType<typeof startRedisServer>>
beforeAll(async () => {
  server = await startRedisServer()
})

describeCommands('a Cluster', () => ({
  app: { cluster },
  urls: cluster.nodes.slice(0, 3).map(({ server: { url } }) => url),
}))
let cluster: RedisCluster
beforeAll(async () => {
  cluster = await startRedisCluster()
})

describe('what is written between a command of the bridge and the read after it', () => {
  const record = (user: string) => JSON.stringify({ user, cookie: { originalMaxAge: 60_000, expires: null } })

  async function started() {
    const { store, client, prefix } = await startRedisStore()
    const live = redisLiveStore(store) as CallReportingLiveStore
    atEnd(() => live.close())
    const reports = reportsOf(live)
    const put = (user: string) => client.set(`${prefix}id`, record(user))
    await put('ada')
    live.watch('id')
    const held = (await live.get('id'))!
    return { live, reports, put, held }
  }

  it('is reported by a touch of what is no longer there', async () => {
    const { live, reports, put, held } = await started()
    const announced = reports.next('id')
    await put('eve')
    await announced
    // Nothing has read the new record: only the read after EXPIRE can tell of it.
    const reported = reports.next('id')
    expect(await live.touchHeld!('id', held)).toBe('touched')
    await reported
  })

  it('is reported by an update that has succeeded all the same', async () => {
    const overtaken: string[] = []
    const client = { evalSha: () => Promise.resolve(1), get: () => Promise.resolve('written since') }
    const deployment = { ask: (_key: string, send: Send<unknown>) => send(client as unknown as RedisClient, false) }
    const deadlines = new CallTimeouts(1_000)
    atEnd(() => {
      deadlines.close()
    })
    const writer = new KeyWriter(deployment as unknown as Deployment, deadlines, {
      onBegin: () => () => undefined,
      onAnnounced: () => undefined,
      onOvertaken: (key) => overtaken.push(key),
    })
    expect(await writer.replace('key', 'before', 'written')).toBe('replaced')
    expect(overtaken).toEqual(['key'])
  })
})
