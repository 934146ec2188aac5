import { createClient } from 'redis'
import { describe, expect, it, vi } from 'vitest'
import { InvalidationThrottle } from '../../src/redis/invalidation-throttle.js'
import { atEnd } from '../support/at-end.js'
import { open } from '../support/client.js'
import { startRedisServer } from '../support/redis.js'
import { startOnRedis } from './app-on-redis.js'

type Client = Awaited<ReturnType<typeof clientOf>>

/** Ends every connection to Redis but the one that asks for it. */
async function killAll(client: Client): Promise<void> {
  await client.sendCommand(['CLIENT', 'KILL', 'SKIPME', 'yes'])
}

async function clientOf(url: string) {
  const client = createClient({ url })
  await client.connect()
  atEnd(() => {
    client.destroy()
  })
  return client
}

describe('what is heard of Redis', () => {
  it('tells a change once, and a touch not at all', async () => {
    const app = await startOnRedis()
    const cookie = await app.login('ada')
    const { changes, nextChange, context } = await app.connect(app.bridge.readSessionID(cookie)!)
    await app.call('GET', '/me', cookie)
    const changed = nextChange()
    await app.call('POST', '/set?key=role&value=admin', cookie)
    await changed
    expect(context.session).toMatchObject({ user: 'ada', role: 'admin' })
    await context.refresh()
    expect(changes).toHaveLength(1)
  })

  it('opens one connection, for the channel as well, and ends it with the bridge', async () => {
    const server = await startRedisServer()
    const connections = async (client: Client) =>
      (await client.sendCommand<string>(['CLIENT', 'LIST'])).trim().split('\n')
    const watcher = await clientOf(server.url)
    const app = await startOnRedis({ url: server.url })
    await expect.poll(() => connections(watcher)).toHaveLength(3)
    await app.put('id', { user: 'ada' })
    await app.connect('id')
    const open = await connections(watcher)
    expect(open).toHaveLength(3)
    // The flag of tracking.
    expect(open.filter((line) => / flags=\w*t/.test(line))).toHaveLength(1)
    await app.bridge.close()
    await expect.poll(() => connections(watcher)).toHaveLength(2)
    expect(await app.client.get(app.keyOf('id'))).toContain('ada')
  })

  it('is the own database of a client, with its user, its password and its key prefix', async () => {
    const server = await startRedisServer()
    const admin = await clientOf(server.url)
    await admin.sendCommand(['ACL', 'SETUSER', 'app', 'on', '>pass word', '~*', '+@all'])
    const url = `redis://app:${encodeURIComponent('pass word')}@127.0.0.1:${server.port}/3`
    const app = await startOnRedis({ url })
    const cookie = await app.login('ada')
    const { nextChange } = await app.connect(app.bridge.readSessionID(cookie)!)
    const changed = nextChange()
    await app.call('POST', '/set?key=role&value=admin', cookie)
    expect(await changed).toMatchObject({ role: 'admin' })
  })

  it('takes no more rights than the README names', async () => {
    const server = await startRedisServer()
    const admin = await clientOf(server.url)
    const commands = 'get set del expire mget pttl evalsha eval ping hello client|tracking subscribe publish'.split(' ')
    await admin.sendCommand([
      'ACL',
      'SETUSER',
      'app',
      'on',
      '>password',
      '~*',
      '&*',
      ...commands.map((name) => `+${name}`),
    ])
    const app = await startOnRedis({ url: `redis://app:password@127.0.0.1:${server.port}` })
    const sessionID = app.bridge.readSessionID(await app.login('ada'))!
    const { context, ended } = await app.connect(sessionID)
    await context.update((draft) => void (draft.role = 'admin'))
    await context.touch()
    await context.destroy()
    expect((await ended).reason).toBe('destroyed')
    expect(app.faults).toEqual([])
  })

  it('is what changed while the connection was down, too', async () => {
    const server = await startRedisServer()
    const app = await startOnRedis({ url: server.url })
    for (const id of ['changed', 'gone', 'shortened', 'same']) await app.put(id, { user: 'ada' })
    const sockets = {
      changed: await app.connect('changed'),
      gone: await app.connect('gone'),
      shortened: await app.connect('shortened'),
      same: await app.connect('same'),
    }
    const changed = sockets.changed.nextChange()
    // In one transaction, so that nothing is heard of them: the connection is down when they happen.
    const killer = await clientOf(server.url)
    await killer
      .multi()
      .addCommand(['CLIENT', 'KILL', 'SKIPME', 'yes'])
      .set(app.keyOf('changed'), (await killer.get(app.keyOf('changed')))!.replace('ada', 'eve'), {
        expiration: 'KEEPTTL',
      })
      .del(app.keyOf('gone'))
      .pExpire(app.keyOf('shortened'), 3_000)
      .exec()
    expect(await changed).toMatchObject({ user: 'eve' })
    expect((await sockets.gone.ended).reason).toBe('destroyed')
    expect((await sockets.shortened.ended).reason).toBe('expired')
    expect(sockets.same.context.ended).toBeUndefined()
    expect(sockets.same.changes).toEqual([])
  })

  it('is that everything was flushed', async () => {
    const server = await startRedisServer()
    const app = await startOnRedis({ url: server.url })
    const ends = []
    for (const id of ['one', 'two']) {
      await app.put(id, { user: 'ada' })
      ends.push((await app.connect(id)).ended)
    }
    await (await clientOf(server.url)).flushAll()
    expect((await Promise.all(ends)).map(({ reason }) => reason)).toEqual(['destroyed', 'destroyed'])
  })

  it('takes a token for what Redis has announced and did not change, and for nothing that could have been missed', async () => {
    const server = await startRedisServer()
    const app = await startOnRedis({ url: server.url })
    const ids = Array.from({ length: 20 }, (_, index) => `id${index}`)
    for (const id of ids) {
      await app.put(id, { user: 'ada' })
      await app.connect(id)
    }
    const killer = await clientOf(server.url)
    const announced = vi.spyOn(InvalidationThrottle.prototype, 'announce')
    await killAll(killer)
    await Promise.all([...app.bridge.connections()].map((context) => context.refresh().catch(() => undefined)))
    expect(announced).not.toHaveBeenCalled()

    const [first, ...others] = [...app.bridge.connections()]
    await first!.refresh()
    const key = app.keyOf(first!.sessionID)
    const text = (await killer.get(key))!
    // Again and again, and read again in between: from the sixth time on it is held back.
    for (let time = 1; time <= 10; time += 1) {
      await killer.set(key, text, { expiration: 'KEEPTTL' })
      await expect.poll(() => announced.mock.calls.length).toBe(time)
      await first!.refresh()
    }
    // What is held back comes half a second later: of five others, a busy machine is not late for each.
    const lateness: number[] = []
    for (const other of others.slice(0, 5)) {
      const changed = new Promise((resolve) => other.once('change', resolve))
      const since = performance.now()
      await killer.set(app.keyOf(other.sessionID), text.replace('ada', 'eve'), { expiration: 'KEEPTTL' })
      await changed
      lateness.push(performance.now() - since)
    }
    expect(Math.min(...lateness)).toBeLessThan(400)
  })

  it('costs handshakes no more than time when connections are killed', async () => {
    const server = await startRedisServer()
    const app = await startOnRedis({ url: server.url })
    await app.put('id', { user: 'ada' })
    const killer = await clientOf(server.url)
    for (let round = 0; round < 10; round += 1) {
      const connecting = app.connect('id')
      await killAll(killer)
      expect((await connecting).context.session).toMatchObject({ user: 'ada' })
    }
    expect(app.refusals).toEqual([])
  })
})

describe('Redis that refuses CLIENT TRACKING', () => {
  it('is told once as a fault; sessions are read, written and ended all the same', async () => {
    const server = await startRedisServer()
    const admin = await clientOf(server.url)
    await admin.sendCommand(['ACL', 'SETUSER', 'app', 'on', '>password', '~*', '&*', '+@all', '-client|tracking'])
    const app = await startOnRedis({ url: `redis://app:password@127.0.0.1:${server.port}` })
    await app.put('id', { user: 'ada' })
    const { context, ended } = await app.connect('id')
    await context.update((draft) => {
      draft.role = 'admin'
    })
    await killAll(admin)
    await expect.poll(() => context.refresh().catch(() => undefined)).toMatchObject({ role: 'admin' })
    expect(app.faults).toHaveLength(1)
    expect(app.faults[0]).toMatchObject({ message: expect.stringContaining('CLIENT TRACKING') as string })
    await app.client.del(app.keyOf('id'))
    app.bridge.check('id')
    expect((await ended).reason).toBe('destroyed')
  })

  it('does not keep the bridge from hearing of what HTTP does in the same process', async () => {
    const server = await startRedisServer()
    const admin = await clientOf(server.url)
    await admin.sendCommand(['ACL', 'SETUSER', 'app', 'on', '>password', '~*', '&*', '+@all', '-client|tracking'])
    const app = await startOnRedis({ url: `redis://app:password@127.0.0.1:${server.port}` })
    const cookie = await app.login('ada')
    const client = await open(app.wsUrl, { cookie })
    expect(app.faults).toHaveLength(1)
    const [context] = app.bridge.connections()
    await app.call('POST', '/set?key=role&value=admin', cookie)
    await expect.poll(() => context!.session.role).toBe('admin')
    await app.call('POST', '/logout', cookie)
    expect(await client.closed).toEqual({ code: 4401, reason: 'destroyed' })
    await app.bridge.close()
    expect(Object.hasOwn(app.store, 'set')).toBe(false)
  })
})

describe('Redis that tracks fewer keys than there are sessions', () => {
  it('is not read in a loop, and a change is heard all the same', async () => {
    const server = await startRedisServer({ args: ['--tracking-table-max-keys', '20'] })
    const app = await startOnRedis({ url: server.url })
    const ids = Array.from({ length: 100 }, (_, index) => `id${index}`)
    for (const id of ids) {
      await app.put(id, { user: 'ada' })
      await app.connect(id)
    }
    const reads = async () => Number(/cmdstat_mget:calls=(\d+)/.exec(await app.client.info('commandstats'))?.[1] ?? 0)
    const before = await reads()
    await new Promise((resolve) => setTimeout(resolve, 3_000))
    // Unlimited, it is some thousands a second.
    const perSecond = ((await reads()) - before) / 3
    expect(perSecond).toBeLessThan(700)
    const [first] = app.bridge.connections()
    const changed = new Promise((resolve) => first!.once('change', resolve))
    await app.put(first!.sessionID, { user: 'eve' })
    expect(await changed).toMatchObject({ user: 'eve' })
  })
})
