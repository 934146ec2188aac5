import { randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { RedisStore } from 'connect-redis'
import { createCluster } from 'redis'
import { beforeAll, describe, expect, it } from 'vitest'
import { redisLiveStore, type RedisLiveStoreOptions } from 'ws-session-bridge/redis'
import { slotOf } from '../../src/redis/key-slot.js'
import { atEnd } from '../support/at-end.js'
import { startApp } from '../support/app.js'
import { open, refused } from '../support/client.js'
import type { ClusterNode } from '../support/redis-cluster.js'
import { startRedisCluster, type RedisCluster } from '../support/redis.js'
import { recordOf } from '../store/live-store-suite.js'
import { startOnRedis } from './app-on-redis.js'

type App = Awaited<ReturnType<typeof startOnRedis>>

const timeoutMs = 500

/** Apps on one Cluster with the same sessions, and IDs of sessions by the master that holds them. */
async function startApps(cluster: RedisCluster, count: number, live: RedisLiveStoreOptions = {}) {
  const prefix = `test:${randomUUID()}:`
  const apps = await Promise.all(
    Array.from({ length: count }, () => startOnRedis({ cluster, store: { prefix }, live })),
  )
  const masters = [...new Set(await Promise.all(anyIDs(30).map((id) => cluster.masterOf(prefix + id))))]
  const idsOn = async (master: ClusterNode, wanted: number) => {
    const ids: string[] = []
    for (const id of anyIDs(100)) if ((await cluster.masterOf(prefix + id)) === master) ids.push(id)
    return ids.slice(0, wanted)
  }
  return { apps, app: apps[0]!, masters, idsOn, prefix }
}

function anyIDs(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `id${index}`)
}

async function connected(app: App, ids: readonly string[]) {
  const sockets = []
  for (const id of ids) {
    await app.put(id, { user: 'ada', views: 0 })
    sockets.push(await app.connect(id))
  }
  return sockets
}

/** Resolves when such a session is heard of again: a change of it reaches its socket. */
async function hears(app: App, { context }: Awaited<ReturnType<App['connect']>>, value: string): Promise<void> {
  await app.put(context.sessionID, { user: value })
  await expect.poll(() => context.session.user).toBe(value)
}

const connectionsOf = async ({ admin }: ClusterNode) => {
  const list = (await admin.sendCommand<string>(['CLIENT', 'LIST'])).trim().split('\n')
  return { all: list.length, tracking: list.filter((line) => / flags=\w*t/.test(line)).length }
}

describe('a Cluster in order', () => {
  let cluster: RedisCluster
  beforeAll(async () => {
    cluster = await startRedisCluster()
  })

  it('has each key where its slot says', async () => {
    const tags = ['{', '}', '{}', '{}a', 'a{}b{c}', '{a}b', 'a{b}c', 'a{b}c{d}', '{{a}}', '}{a}', 'a{', 'ä{ö}ü']
    const random = Array.from({ length: 500 }, () => `sess:${randomBytes(24).toString('base64url')}`)
    for (const key of ['', '123456789', ...tags, ...random]) {
      expect([key, slotOf(key)]).toEqual([key, await cluster.slotOfKey(key)])
    }
  })

  it('tells every node of a change, a touch, a logout and an expiry on each of its masters', async () => {
    const { apps, masters, idsOn } = await startApps(cluster, 2)
    expect(masters).toHaveLength(3)
    const [one, two] = apps as [App, App]
    for (const master of masters) {
      const [id, short] = (await idsOn(master, 2)) as [string, string]
      await one.put(id, { user: 'ada' }, { px: 20_000 })
      const sockets = [await one.connect(id), await two.connect(id)]
      await one.put(short, { user: 'ada' }, { px: 3_000 })
      const expiring = [await one.connect(short), await two.connect(short)]

      const changed = sockets.map(({ nextChange }) => nextChange())
      await sockets[0]!.context.update((draft) => void (draft.role = 'admin'))
      expect(await Promise.all(changed)).toMatchObject([{ role: 'admin' }, { role: 'admin' }])
      await sockets[1]!.context.touch()
      expect(await one.client.pTTL(one.keyOf(id))).toBeGreaterThan(30_000)

      await sockets[1]!.context.destroy()
      for (const { ended } of sockets) expect((await ended).reason).toBe('destroyed')
      // Redis' own clock may be a moment ahead: then it is told as destroyed.
      for (const { ended } of expiring) expect((await ended).code).toBe(4401)
    }
    for (const app of apps) expect(app.faults).toEqual([])
  })

  it('gets one connection for each master, the first for the channel, and none is left behind by the bridge', async () => {
    // Those of the tests before it are closed, but a server may not have seen it yet.
    const untracked = async () => {
      for (const node of cluster.nodes) {
        await expect.poll(async () => (await connectionsOf(node)).tracking).toBe(0)
      }
    }
    await untracked()
    const { app, masters, idsOn } = await startApps(cluster, 1)
    for (const master of masters) {
      await connected(app, await idsOn(master, 3))
      expect((await connectionsOf(master)).tracking).toBe(1)
    }
    await app.bridge.close()
    await untracked()
    expect(await app.client.get(app.keyOf('id0'))).toContain('ada')
  })

  it('whose one master is flushed loses the sessions of that one, and no other', async () => {
    const { app, masters, idsOn } = await startApps(cluster, 1)
    const [flushed, other] = masters as [ClusterNode, ClusterNode]
    const lost = await connected(app, await idsOn(flushed, 3))
    const kept = await connected(app, await idsOn(other, 3))
    await flushed.admin.flushAll()
    for (const { ended } of lost) expect((await ended).reason).toBe('destroyed')
    for (const socket of kept) await hears(app, socket, 'eve')
  })

  it('that forbids scripts gets every write all the same', async () => {
    const forbid = (rule: string) =>
      Promise.all(
        cluster.nodes.map(({ admin }) =>
          admin.sendCommand(['ACL', 'SETUSER', 'default', `${rule}eval`, `${rule}evalsha`]),
        ),
      )
    await forbid('-')
    atEnd(() => forbid('+'))
    const { app, masters, idsOn } = await startApps(cluster, 1)
    for (const master of masters) {
      const [id] = (await idsOn(master, 1)) as [string]
      const [{ context }] = (await connected(app, [id])) as [Awaited<ReturnType<App['connect']>>]
      const increment = () => context.update((draft) => void (draft.views = (draft.views ?? 0) + 1))
      await Promise.all(Array.from({ length: 20 }, increment))
      expect(JSON.parse((await app.client.get(app.keyOf(id)))!)).toMatchObject({ views: 20 })
      const slot = await cluster.slotOfKey(app.keyOf(id))
      const target = masters.find((each) => each !== master)!
      await cluster.moveSlot(slot, master, target)
      await Promise.all(Array.from({ length: 20 }, increment))
      expect(JSON.parse((await app.client.get(app.keyOf(id)))!)).toMatchObject({ views: 40 })
      await cluster.moveSlot(slot, target, master)
    }
  })

  it('that refuses tracking says so once, and is read all the same', async () => {
    const forbid = (rule: string) =>
      Promise.all(
        cluster.nodes.map(({ admin }) => admin.sendCommand(['ACL', 'SETUSER', 'default', `${rule}client|tracking`])),
      )
    await forbid('-')
    atEnd(() => forbid('+'))
    const { app, masters, idsOn } = await startApps(cluster, 1)
    for (const master of masters) await connected(app, await idsOn(master, 1))
    expect(app.faults).toHaveLength(1)
    expect(String(app.faults[0])).toContain('CLIENT TRACKING')
  })

  it('asks for no more rights than the README names', async () => {
    const { prefix, masters, idsOn } = await startApps(cluster, 1)
    const commands =
      'get set del expire pttl evalsha eval ping hello client|tracking cluster|slots cluster|info asking subscribe publish'
    const rights = commands.split(' ').map((name) => `+${name}`)
    for (const { admin } of cluster.nodes) {
      await admin.sendCommand(['ACL', 'SETUSER', 'app', 'on', '>pass word', '~*', '&*', ...rights])
    }
    const client = createCluster({
      rootNodes: [...cluster.rootNodes],
      defaults: { username: 'app', password: 'pass word' },
    })
    await client.connect()
    atEnd(() => {
      client.destroy()
    })
    const store = new RedisStore({ client, prefix })
    const app = await startApp({ store, bridge: { live: redisLiveStore(store) } })
    const [from, to] = masters as [ClusterNode, ClusterNode]
    const [id] = (await idsOn(from, 1)) as [string]
    await store.set(id, recordOf({ user: 'ada' }))
    const { closed } = await open(app.wsUrl, { cookie: app.bridge.signedCookie(id) })
    const [context] = [...app.bridge.connections()]
    await cluster.moveSlot(await cluster.slotOfKey(prefix + id), from, to, async () => {
      await context!.update((draft) => void (draft.role = 'admin'))
    })
    await context!.touch()
    await context!.destroy()
    expect((await closed).code).toBe(4401)
    expect(app.faults).toEqual([])
    await cluster.moveSlot(await cluster.slotOfKey(prefix + id), to, from)
  })

  it('whose client is not connected refuses with 503, until it is', async () => {
    const client = createCluster({ rootNodes: [...cluster.rootNodes] })
    const store = new RedisStore({ client, prefix: `test:${randomUUID()}:` })
    const app = await startApp({ store, bridge: { live: redisLiveStore(store) } })
    expect((await refused(app.wsUrl, { cookie: app.bridge.signedCookie('id') })).status).toBe(503)
    await client.connect()
    atEnd(() => {
      client.destroy()
    })
    await open(app.wsUrl, { cookie: await app.login('ada') })
  })
})

describe('slots that move', () => {
  it('take their sessions along: nothing is lost that is written before, meanwhile and after', async () => {
    const cluster = await startRedisCluster()
    const { apps, app, masters, idsOn } = await startApps(cluster, 2)
    const [from, to] = masters as [ClusterNode, ClusterNode]
    const ids = await idsOn(from, 8)
    const sockets = await connected(app, ids)
    for (const id of ids) sockets.push(await apps[1]!.connect(id))
    const isMoving = new AbortController()
    const written = new Map(ids.map((id) => [id, 0]))
    const write = async (id: string) => {
      while (!isMoving.signal.aborted) {
        await apps[written.get(id)! % 2]!.bridge.update(id, (draft) => void (draft.views = (draft.views ?? 0) + 1))
        written.set(id, written.get(id)! + 1)
      }
    }
    const writing = Promise.all(ids.map(write))
    for (const id of ids) {
      const slot = await cluster.slotOfKey(app.keyOf(id))
      await cluster.moveSlot(slot, from, to, () => pause(50))
    }
    await expect.poll(() => Math.min(...written.values())).toBeGreaterThan(10)
    isMoving.abort()
    await writing
    for (const { context } of sockets) {
      await expect.poll(() => context.session.views).toBe(written.get(context.sessionID))
      expect(context.ended).toBeUndefined()
    }
    for (const socket of sockets) await hears(app, socket, 'eve')
    await Promise.all(ids.map((id) => app.bridge.destroy(id)))
    for (const { ended } of sockets) expect((await ended).reason).toBe('destroyed')
    for (const { faults } of apps) expect(faults).toEqual([])
  })

  it('are heard of while they are on their way, of sessions that have arrived and of those that have not', async () => {
    const cluster = await startRedisCluster()
    const { app, masters, idsOn } = await startApps(cluster, 1)
    const [from, to] = masters as [ClusterNode, ClusterNode]
    const [id] = (await idsOn(from, 1)) as [string]
    const [socket] = (await connected(app, [id])) as [Awaited<ReturnType<App['connect']>>]
    const slot = await cluster.slotOfKey(app.keyOf(id))
    await cluster.moveSlot(slot, from, to, async () => {
      await hears(app, socket, 'eve')
      const another = await app.connect(id)
      await hears(app, another, 'bob')
      await socket.context.update((draft) => void (draft.views = 7))
    })
    expect(socket.context.session).toMatchObject({ user: 'bob', views: 7 })
    await hears(app, socket, 'ada')
  })

  it('are looked at again when the move is called off: what has arrived is lost, and what is written instead is heard', async () => {
    const cluster = await startRedisCluster()
    const { app, masters, idsOn } = await startApps(cluster, 1, { timeoutMs })
    const [from, to] = masters as [ClusterNode, ClusterNode]
    const [lost, replaced] = (await idsOn(from, 2)) as [string, string]
    const sockets = await connected(app, [lost, replaced])
    for (const [index, id] of [lost, replaced].entries()) {
      const slot = await cluster.slotOfKey(app.keyOf(id))
      const isOff = cluster.moveSlot(slot, from, to, async () => {
        await hears(app, sockets[index]!, 'eve')
        throw new Error('The move is called off.')
      })
      await expect(isOff).rejects.toThrow('called off')
      await cluster.leaveSlot(slot, from, to)
      // Redis announces neither: the session that was read is where it does not belong, and stays there.
      if (id === replaced) await app.put(replaced, { user: 'bob' })
    }
    await expect.poll(() => sockets[0]!.context.ended?.reason, { timeout: 20_000 }).toBe('destroyed')
    await expect.poll(() => sockets[1]!.context.session.user, { timeout: 20_000 }).toBe('bob')
    await hears(app, sockets[1]!, 'ada')
    expect(app.faults).toEqual([])
  })

  it('are looked at again when the connection to where they are going is lost before they have arrived', async () => {
    const cluster = await startRedisCluster()
    const { app, masters, idsOn } = await startApps(cluster, 1)
    const [from, to] = masters as [ClusterNode, ClusterNode]
    const [id] = (await idsOn(from, 1)) as [string]
    const [socket] = (await connected(app, [id])) as [Awaited<ReturnType<App['connect']>>]
    await cluster.moveSlot(await cluster.slotOfKey(app.keyOf(id)), from, to, async () => {
      await hears(app, socket, 'eve')
      const list = (await to.admin.sendCommand<string>(['CLIENT', 'LIST'])).split('\n')
      const tracking = /id=(\d+) /.exec(list.find((line) => / flags=\w*t/.test(line))!)![1]!
      // In one go, so that the end is not heard of.
      await Promise.all([
        to.admin.sendCommand(['CLIENT', 'KILL', 'ID', tracking]),
        to.admin.sendCommand(['ASKING']),
        to.admin.del(app.keyOf(id)),
      ])
      await expect.poll(() => socket.context.ended?.reason).toBe('destroyed')
    })
  })
})

describe('a master that is gone', () => {
  it('keeps its sockets until its replica serves; what was lost ends then, and the others notice nothing', async () => {
    const cluster = await startRedisCluster({ failsOver: true })
    const { apps, app, masters, idsOn } = await startApps(cluster, 2)
    const [victim, ...others] = masters as [ClusterNode, ClusterNode, ClusterNode]
    const replica = cluster.nodes[cluster.nodes.indexOf(victim) + 3]!
    const [late, ...ids] = (await idsOn(victim, 5)) as [string, ...string[]]
    const sockets = await connected(app, ids)
    for (const id of ids) sockets.push(await apps[1]!.connect(id))
    const elsewhere = []
    for (const other of others) elsewhere.push(...(await connected(app, await idsOn(other, 3))))
    const told: unknown[] = []
    for (const { context } of elsewhere) context.on('change', (...change) => told.push(change))

    // What the replica no longer gets to know: it hangs, and what was on its way to it is thrown away.
    await cluster.caughtUp(replica, victim)
    replica.server.kill('SIGSTOP')
    await victim.admin.sendCommand(['CLIENT', 'KILL', 'TYPE', 'replica'])
    const lost = [...(await connected(app, [late])), await apps[1]!.connect(late)]
    victim.server.kill('SIGKILL')
    replica.server.kill('SIGCONT')

    const { status } = await refused(app.wsUrl, { cookie: app.bridge.signedCookie(ids[0]!) })
    expect(status).toBe(503)
    await app.connect(elsewhere[0]!.context.sessionID)
    await cluster.failedOver()
    for (const { ended } of lost) expect((await ended).reason).toBe('destroyed')
    expect(await Promise.all(ids.map((id) => replica.admin.exists(app.keyOf(id))))).toEqual(ids.map(() => 1))
    for (const { context } of [...sockets, ...elsewhere]) expect(context.ended).toBeUndefined()
    expect(told).toEqual([])
    await expect
      .poll(() => app.client.get(app.keyOf(ids[0]!)).catch(() => undefined), { timeout: 10_000 })
      .toContain('ada')
    for (const socket of [...sockets, ...elsewhere]) await hears(app, socket, 'eve')
    for (const { bridge } of apps) expect(bridge.stats().ended).toMatchObject({ unverified: 0 })

    // It comes back as the replica of its replica, and takes over again, with no other master in between.
    await cluster.restart(victim)
    await cluster.takeOver(victim)
    for (const socket of sockets) await hears(app, socket, 'bob')
    for (const { faults } of apps) expect(faults).toEqual([])
  })

  it('and comes back empty takes its sessions down with it', async () => {
    const cluster = await startRedisCluster({ failsOver: true })
    const { app, masters, idsOn } = await startApps(cluster, 1)
    const [victim, other] = masters as [ClusterNode, ClusterNode]
    const sockets = await connected(app, await idsOn(victim, 3))
    const elsewhere = await connected(app, await idsOn(other, 3))
    cluster.nodes[cluster.nodes.indexOf(victim) + 3]!.server.kill('SIGKILL')
    victim.server.kill('SIGKILL')
    await cluster.restart(victim)
    for (const { ended } of sockets) expect((await ended).reason).toBe('destroyed')
    for (const { context } of elsewhere) expect(context.ended).toBeUndefined()
  })

  it('because it hangs is refused within the deadline, and left for its replica', async () => {
    const cluster = await startRedisCluster({ failsOver: true })
    const { app, masters, idsOn } = await startApps(cluster, 1, { timeoutMs })
    const [victim, other] = masters as [ClusterNode, ClusterNode]
    const sockets = await connected(app, await idsOn(victim, 3))
    const [elsewhere] = await connected(app, await idsOn(other, 1))
    victim.server.kill('SIGSTOP')
    const since = performance.now()
    const cookie = app.bridge.signedCookie(sockets[0]!.context.sessionID)
    expect((await refused(app.wsUrl, { cookie })).status).toBe(503)
    expect(performance.now() - since).toBeLessThan(1_900)
    await app.connect(elsewhere!.context.sessionID)

    const accepted = async () => (await open(app.wsUrl, { cookie }).catch(() => undefined)) !== undefined
    await expect.poll(accepted, { timeout: 20_000 }).toBe(true)
    const replica = cluster.nodes[cluster.nodes.indexOf(victim) + 3]!
    for (const [index, { context }] of sockets.entries()) {
      expect(context.ended).toBeUndefined()
      const key = app.keyOf(context.sessionID)
      await replica.admin.set(key, (await replica.admin.get(key))!.replace('ada', `eve${index}`))
      await expect.poll(() => context.session.user).toBe(`eve${index}`)
    }
    victim.server.kill('SIGCONT')
    await expect
      .poll(() => app.client.get(app.keyOf(sockets[0]!.context.sessionID)).catch(() => ''), { timeout: 20_000 })
      .toContain('eve0')
    await hears(app, sockets[0]!, 'bob')
  })
})
