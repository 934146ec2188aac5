import { createClient, createClientPool, WatchError } from 'redis'
import { RedisStore } from 'connect-redis'
import { Cookie } from 'express-session'
import { describe, expect, it } from 'vitest'
import { createSessionBridge, SessionEndedError } from 'ws-session-bridge'
import { redisLiveStore } from 'ws-session-bridge/redis'
import type { Deployment, NodeAddress } from '../../src/redis/deployment.js'
import { OptimisticLock } from '../../src/redis/optimistic-lock.js'
import { snapshotOfStored } from '../../src/store/normalized-session.js'
import { rest } from '../live/bound.js'
import { startApp } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { open } from '../support/client.js'
import { startRedisServer, startRedisStore } from '../support/redis.js'
import { changed, recordOf } from '../store/live-store-suite.js'
import { startOnRedis } from './app-on-redis.js'

async function startServerWithoutScripts(): Promise<string> {
  const server = await startRedisServer()
  const admin = createClient({ url: server.url })
  await admin.connect()
  await admin.sendCommand(['ACL', 'SETUSER', 'app', 'on', '>password', '~*', '&*', '+@all', '-@scripting'])
  admin.destroy()
  return `redis://app:password@127.0.0.1:${server.port}`
}

describe('a write on Redis', () => {
  it('revives nothing in 10,000 races of a destroy with an update', async () => {
    const { client, prefix, store } = await startRedisStore()
    const other = client.duplicate()
    await other.connect()
    atEnd(() => {
      other.destroy()
    })
    const live = redisLiveStore(store)
    atEnd(() => live.close())
    const outcomes = { replaced: 0, changed: 0, gone: 0 }
    const race = async (id: string) => {
      await store.set(id, recordOf({ views: 0 }))
      const held = (await live.get(id))!
      const write = live.replace(id, held, changed(held, { views: 1 }))
      const removed = other.del(prefix + id)
      const result = await write
      outcomes[result === 'gone' ? 'gone' : 'replaced' in result ? 'replaced' : 'changed'] += 1
      await removed
    }
    for (let round = 0; round < 100; round += 1) {
      await Promise.all(Array.from({ length: 100 }, (_, index) => race(`id${round}-${index}`)))
    }
    const revived: string[] = []
    for await (const keys of client.scanIterator({ MATCH: `${prefix}*`, COUNT: 1000 })) revived.push(...keys)
    expect(revived).toEqual([])
    expect(outcomes.changed).toBe(0)
    expect(outcomes.replaced + outcomes.gone).toBe(10_000)
    // Both ways happened, else it was no race.
    expect(Math.min(outcomes.replaced, outcomes.gone)).toBeGreaterThan(0)
  })

  it('goes on without scripts where they are forbidden, as exactly', async () => {
    const app = await startOnRedis({ url: await startServerWithoutScripts() })
    await app.put('id', { views: 0 })
    const other = redisLiveStore(app.store)
    atEnd(() => other.close())
    const increment = async () => {
      let held = (await other.get('id'))!
      for (;;) {
        const { views = 0 } = snapshotOfStored(held)
        const result = await other.replace('id', held, changed(held, { views: views + 1 }))
        if (result === 'gone') throw new Error('It is gone')
        if ('replaced' in result) return
        held = result.changed
      }
    }
    await Promise.all([
      ...Array.from({ length: 25 }, increment),
      ...Array.from({ length: 25 }, () =>
        app.bridge.update('id', (draft) => void (draft.views = (draft.views ?? 0) + 1)),
      ),
    ])
    expect(await app.bridge.load('id')).toMatchObject({ views: 50 })
    expect(await app.client.pTTL(app.keyOf('id'))).toBeGreaterThan(30_000)
    await app.client.del(app.keyOf('id'))
    await expect(app.bridge.update('id', () => undefined)).rejects.toBeInstanceOf(SessionEndedError)
    expect(await app.client.get(app.keyOf('id'))).toBeNull()
  })

  it("without scripts waits for no other session's, one of which is touched without end", async () => {
    const { client, prefix, store } = await startRedisStore(await startServerWithoutScripts())
    const live = redisLiveStore(store)
    atEnd(() => live.close())
    for (const id of ['victim', 'busy']) await store.set(id, recordOf({ views: 0 }))
    const victim = (await live.get('victim'))!
    const busy = (await live.get('busy'))!
    const isTouching = new AbortController()
    const touch = async () => {
      while (!isTouching.signal.aborted) {
        await Promise.all(Array.from({ length: 50 }, () => client.expire(`${prefix}busy`, 3600)))
      }
    }
    const touching = touch()
    const updates = Array.from({ length: 20 }, () => live.replace('busy', busy, changed(busy, { views: 1 })))
    const since = performance.now()
    let held = victim
    for (let views = 1; views <= 10; views += 1) {
      const result = await live.replace('victim', held, changed(held, { views }))
      held = (result as { replaced: typeof held }).replaced
    }
    const took = performance.now() - since
    isTouching.abort()
    await touching
    await Promise.allSettled(updates)
    // Behind those of the other session, it would come to its deadline of two seconds.
    expect(took).toBeLessThan(1_900)
  })

  it('without scripts waits for the writes of its own key alone, even where one of them never ends', async () => {
    const asked: string[] = []
    const addressOf = (key: string): Promise<NodeAddress> => {
      asked.push(key)
      return new Promise(() => undefined)
    }
    const lock = new OptimisticLock({ addressOf } as unknown as Deployment)
    for (const key of ['busy', 'busy', 'victim']) void lock.replace(key, '{}', '{}', () => false)
    await rest()
    expect(asked).toEqual(['busy', 'victim'])
  })

  it('without scripts knows that a key was touched meanwhile by what Redis answers, not by the name of a class', async () => {
    const { client, prefix, store } = await startRedisStore(await startServerWithoutScripts())
    const live = redisLiveStore(store)
    atEnd(() => live.close())
    await store.set('id', recordOf({ views: 0 }))
    const held = (await live.get('id'))!
    // As a minifier leaves it.
    const { name } = WatchError
    const rename = (value: string) => Object.defineProperty(WatchError, 'name', { value, configurable: true })
    rename('t')
    atEnd(() => rename(name))
    const touch = async () => {
      for (let round = 0; round < 200; round += 1) await client.expire(`${prefix}id`, 3600)
    }
    let stored = held
    const update = async () => {
      for (let views = 1; views <= 50; views += 1) {
        const result = await live.replace('id', stored, changed(stored, { views }))
        stored = (result as { replaced: typeof stored }).replaced
      }
    }
    await Promise.all([touch(), touch(), update()])
    expect(await store.get('id')).toMatchObject({ views: 50 })
  })

  it('sends its script again to a server that has lost it', async () => {
    const app = await startOnRedis({ url: (await startRedisServer()).url })
    await app.put('id', { views: 0 })
    for (let views = 1; views <= 3; views += 1) {
      await app.client.scriptFlush()
      expect(await app.bridge.update('id', (draft) => void (draft.views = views))).toMatchObject({ views })
    }
  })

  it('fails over a record that is no text, rather than try forever', async () => {
    const app = await startOnRedis()
    const text = JSON.stringify(recordOf({ user: 'ada?' }))
    const bytes = Buffer.from(text)
    bytes[bytes.indexOf('?')] = 0xff
    await app.client.set(app.keyOf('id'), bytes)
    await expect(app.bridge.update('id', (draft) => void (draft.user = 'eve'))).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    })
  })

  it("is in the words of the store's own serializer, which gets a Session as from HTTP", async () => {
    const { client, prefix } = await startRedisStore()
    const kinds: unknown[] = []
    const store = new RedisStore({
      client,
      prefix,
      serializer: {
        stringify: (session) => {
          kinds.push(session.cookie instanceof Cookie ? 'a Cookie' : 'data')
          return `v1 ${JSON.stringify(session)}`
        },
        parse: (text) => JSON.parse(text.slice(3)) as never,
      },
    })
    const live = redisLiveStore(store)
    atEnd(() => live.close())
    await store.set('id', recordOf({ user: 'ada' }))
    const held = (await live.get('id'))!
    await live.replace('id', held, changed(held, { user: 'eve' }))
    expect(await client.get(`${prefix}id`)).toMatch(/^v1 .*"user":"eve"/)
    expect(kinds).toEqual(['a Cookie', 'a Cookie'])
    expect(await store.get('id')).toMatchObject({ user: 'eve' })
  })
})

describe('redisLiveStore', () => {
  it.each([
    ['nothing', undefined],
    ['a client', createClient()],
    ['a store of another kind', { get: () => undefined }],
    ['a store on a client of another library', new RedisStore({ client: { options: {}, duplicate: () => undefined } })],
    ['a store on a pool of clients', new RedisStore({ client: createClientPool() })],
  ])('throws a TypeError for %s, which says what it takes', (_what, store) => {
    const make = () => redisLiveStore(store as RedisStore)
    expect(make).toThrow(TypeError)
    expect(make).toThrow(/redisLiveStore takes .*createCluster/)
  })

  it.each([0, -1, NaN, Infinity, 2 ** 31 - 0.5, '1'])('throws a TypeError for a timeoutMs of %s', (timeoutMs) => {
    const store = new RedisStore({ client: createClient() })
    expect(() => redisLiveStore(store, { timeoutMs: timeoutMs as number })).toThrow(/timeoutMs/)
  })

  it('throws a TypeError for an option that it does not know', () => {
    const store = new RedisStore({ client: createClient() })
    const make = () => redisLiveStore(store, { timeoutMS: 100 } as object)
    expect(make).toThrow(TypeError)
    expect(make).toThrow(/`timeoutMS` is unknown.*timeoutMs/)
  })

  it('takes the longest time that a timer can wait, and sets no longer one', async () => {
    const warnings: Error[] = []
    const onWarning = (warning: Error) => warnings.push(warning)
    process.on('warning', onWarning)
    atEnd(() => process.off('warning', onWarning))
    const app = await startOnRedis({ live: { timeoutMs: 2 ** 31 - 1 } })
    await app.put('id', { user: 'ada' })
    expect((await app.bridge.load('id'))?.user).toBe('ada')
    // Node tells of them a turn later.
    await new Promise(setImmediate)
    expect(warnings.filter(({ name }) => name === 'TimeoutOverflowWarning')).toEqual([])
  })

  it('belongs to one bridge: for a second one it is a TypeError, and the first goes on hearing of every logout', async () => {
    const { client, prefix, store } = await startRedisStore()
    const live = redisLiveStore(store)
    const app = await startApp({ store, bridge: { live } })
    expect(() => createSessionBridge({ session: app.sessionOptions, live })).toThrow(
      expect.objectContaining({ name: 'TypeError', message: expect.stringContaining('`live`') as string }),
    )
    const cookie = await app.login('ada')
    const { closed } = await open(app.wsUrl, { cookie })
    await client.del(prefix + app.bridge.readSessionID(cookie)!)
    expect(await closed).toEqual({ code: 4401, reason: 'destroyed' })
  })
})
