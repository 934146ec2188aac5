import { RedisStore } from 'connect-redis'
import { createClient } from 'redis'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { createSessionBridge, type SessionSnapshot } from 'ws-session-bridge'
import { redisLiveStore } from 'ws-session-bridge/redis'
import { recordOf } from '../store/live-store-suite.js'
import { atEnd } from '../support/at-end.js'
import { open } from '../support/client.js'
import { compiled, forked } from '../support/forked.js'
import { redisUrl, startRedisCluster, startRedisStore, type RedisCluster } from '../support/redis.js'
import { inGroups, latenessOf, listenTo, now } from '../support/reports.js'
import { isSoak } from '../support/soak.js'
import { startSentinel, startSentinelStore } from './sentinel-servers.js'

const timeoutMs = 2_000

let script: string
beforeAll(() => {
  script = join(compiled('test/redis', 'test/support'), 'test/redis/node-process.js')
})

type Servers = Awaited<ReturnType<typeof startSentinel>>

/** Where the sessions are: the server that all tests share, a Cluster, or a master behind a Sentinel. */
interface Place {
  cluster?: RedisCluster
  servers?: Servers
}

async function storeOn({ cluster, servers }: Place) {
  if (servers === undefined) {
    const { client, prefix } = await startRedisStore(cluster)
    const at = cluster === undefined ? { url: redisUrl() } : { rootNodes: cluster.rootNodes }
    return { client, prefix, at, store: new RedisStore({ client, prefix, ttl: 3600 }) }
  }
  const { client, store } = await startSentinelStore(servers)
  return { client, prefix: store.prefix, at: { sentinelPort: servers.sentinel.port }, store }
}

/** So many processes with users, and a bridge in this one that has no sockets. */
async function start(count: number, place: Place) {
  const { client, prefix, at, store } = await storeOn(place)
  const nodes = await Promise.all(
    Array.from({ length: count }, () => forked(script, { ...at, prefix, withUsers: true })),
  )
  const bridge = createSessionBridge({
    session: { store, secret: 'a secret', resave: false, saveUninitialized: false },
    live: redisLiveStore(store, { timeoutMs }),
    identify: ({ user }: SessionSnapshot) => user,
  })
  atEnd(() => bridge.close())
  const openFor = async (user: string, node: number) => {
    const sessionID = `${user}-${Math.random().toString(36).slice(2)}`
    await client.set(prefix + sessionID, JSON.stringify(recordOf({ user })))
    return open(`ws://127.0.0.1:${Number(nodes[node]!.first)}/`, { cookie: bridge.signedCookie(sessionID) })
  }
  // A process is there when it has said so.
  const areThere = () =>
    expect.poll(async () => (await bridge.everywhere.connections()).nodes, { timeout: 15_000 }).toBe(count + 1)
  await areThere()
  return { nodes, client, prefix, bridge, openFor, areThere }
}

describe.each(['one Redis', 'a Cluster', 'a Sentinel'])('everywhere, on %s,', (kind) => {
  const place: Place = {}
  beforeAll(async () => {
    if (kind === 'a Cluster') place.cluster = await startRedisCluster()
    if (kind === 'a Sentinel') place.servers = await startSentinel()
  })

  it('lists and closes the connections of a user on every process, from one that has none of them', async () => {
    const { bridge, openFor } = await start(3, place)
    const ada = [await openFor('ada', 0), await openFor('ada', 1), await openFor('ada', 1)]
    const grace = await openFor('grace', 2)

    const listed = await bridge.everywhere.connections({ user: 'ada' })
    expect(listed).toMatchObject({ count: 3, nodes: 4, complete: true })
    expect(listed.connections.map(({ user }) => user)).toEqual(['ada', 'ada', 'ada'])
    expect(new Set(listed.connections.map(({ node }) => node)).size).toBe(2)
    expect(JSON.stringify(listed)).not.toContain('ada-')

    const closed = await bridge.everywhere.disconnect({ user: 'ada' }, { code: 4000, reason: 'kicked' })
    expect(closed).toEqual({ count: 3, nodes: 4, complete: true })
    for (const socket of ada) expect(await socket.closed).toMatchObject({ code: 4000, reason: 'kicked' })
    expect(await bridge.everywhere.connections({ user: 'ada' })).toMatchObject({ count: 0, complete: true })
    expect((await bridge.everywhere.connections()).connections).toMatchObject([{ user: 'grace' }])
    grace.ws.close()
  })

  it('asks `authorize` of every process again, for a permission that is kept elsewhere', async () => {
    const { bridge, client, prefix, openFor } = await start(3, place)
    const ada = [await openFor('ada', 0), await openFor('ada', 2)]
    const grace = await openFor('grace', 1)
    await client.sAdd(`${prefix}banned`, 'ada')
    expect(await bridge.everywhere.reauthorize({ user: 'ada' })).toEqual({ count: 2, nodes: 4, complete: true })
    for (const socket of ada) expect((await socket.closed).code).toBe(4403)
    expect(await bridge.everywhere.reauthorize()).toMatchObject({ count: 1, complete: true })
    expect(grace.ws.readyState).toBe(grace.ws.OPEN)
  })

  it('answers in time and says that it is incomplete while a process stands still', async () => {
    const { bridge, nodes, openFor } = await start(3, place)
    await openFor('ada', 0)
    await openFor('ada', 1)
    const { process: stopped } = nodes[1]!
    stopped.kill('SIGSTOP')
    atEnd(() => stopped.kill('SIGCONT'))
    const from = performance.now()
    const listed = await bridge.everywhere.connections({ user: 'ada' })
    expect(listed).toMatchObject({ count: 1, nodes: 3, complete: false })
    expect(performance.now() - from).toBeLessThan(2 * timeoutMs)
    stopped.kill('SIGCONT')
    await expect
      .poll(async () => bridge.everywhere.connections({ user: 'ada' }), { timeout: 15_000 })
      .toMatchObject({ count: 2, nodes: 4, complete: true })
  })

  // All three in the soak: opening so many takes a while.
  it.runIf(kind === 'one Redis' || isSoak)(
    'closes the sockets of one user after another, of 3,000 on another process, and asks `authorize` again, within milliseconds',
    { timeout: 180_000 },
    async () => {
      const users = 3_000
      const { bridge, client, prefix, nodes } = await start(1, place)
      const names = Array.from({ length: users }, (_, index) => `user${index}`)
      const opened = new Map<string, Awaited<ReturnType<typeof open>>>()
      await inGroups(names, 100, async (user) => {
        await client.set(prefix + user, JSON.stringify(recordOf({ user })))
        const url = `ws://127.0.0.1:${Number(nodes[0]!.first)}/`
        opened.set(user, await open(url, { cookie: bridge.signedCookie(user) }))
      })
      const heard = listenTo(nodes[0]!.process)
      const latencyOf = async (some: readonly string[], act: (user: string) => Promise<unknown>) => {
        const due = new Map<string, number>()
        for (const user of some) {
          due.set(user, now())
          await act(user)
        }
        return latenessOf(due, [heard], 'end')
      }
      const kicked = await latencyOf(names.slice(0, 300), (user) => bridge.everywhere.disconnect({ user }))
      const banned = names.slice(300, 600)
      await client.sAdd(`${prefix}banned`, banned)
      const forbidden = await latencyOf(banned, (user) => bridge.everywhere.reauthorize({ user }))
      console.log(`everywhere, on ${kind}, ${users} sockets: disconnect ${kicked}, reauthorize ${forbidden}`)
      for (const user of banned) expect((await opened.get(user)!.closed).code).toBe(4403)
      expect(await bridge.everywhere.connections()).toMatchObject({ count: users - 600, complete: true })
    },
  )
})

describe('everywhere, on a Sentinel whose master has died,', () => {
  it('reaches every process again by the master that has taken its place', async () => {
    const servers = await startSentinel({ failsOver: true })
    const { bridge, openFor } = await start(2, { servers })
    const ada = [await openFor('ada', 0), await openFor('ada', 1)]
    const direct = await createClient({ url: servers.master.url })
      .on('error', () => undefined)
      .connect()
    await direct.sendCommand(['WAIT', '1', '1000'])
    direct.destroy()
    servers.master.kill('SIGKILL')
    // Until then it says that it is incomplete: the processes are known, and none of them answers.
    await expect
      .poll(() => bridge.everywhere.connections({ user: 'ada' }), { timeout: 30_000 })
      .toMatchObject({ count: 2, nodes: 3, complete: true })
    expect(await bridge.everywhere.disconnect({ user: 'ada' })).toEqual({ count: 2, nodes: 3, complete: true })
    for (const socket of ada) expect((await socket.closed).code).toBe(1008)
  })
})
