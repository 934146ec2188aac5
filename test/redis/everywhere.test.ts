import { RedisStore } from 'connect-redis'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { createSessionBridge, type SessionSnapshot } from 'ws-session-bridge'
import { redisLiveStore } from 'ws-session-bridge/redis'
import { recordOf } from '../store/live-store-suite.js'
import { atEnd } from '../support/at-end.js'
import { open } from '../support/client.js'
import { compiled, forked } from '../support/forked.js'
import { redisUrl, startRedisCluster, startRedisStore, type RedisCluster } from '../support/redis.js'

const timeoutMs = 2_000

let script: string
beforeAll(() => {
  script = join(compiled('test/redis', 'test/support'), 'test/redis/node-process.js')
})

/** So many processes with users, and a bridge in this one that has no sockets. */
async function start(count: number, cluster?: RedisCluster) {
  const { client, prefix } = await startRedisStore(cluster)
  const place = cluster === undefined ? { url: redisUrl() } : { rootNodes: cluster.rootNodes }
  const nodes = await Promise.all(
    Array.from({ length: count }, () => forked(script, { ...place, prefix, withUsers: true })),
  )
  const store = new RedisStore({ client, prefix, ttl: 3600 })
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
  await expect.poll(async () => (await bridge.everywhere.connections()).nodes, { timeout: 15_000 }).toBe(count + 1)
  return { nodes, client, prefix, bridge, openFor }
}

describe.each(['one Redis', 'a Cluster'])('everywhere, on %s,', (kind) => {
  let cluster: RedisCluster | undefined
  beforeAll(async () => {
    cluster = kind === 'a Cluster' ? await startRedisCluster() : undefined
  })

  it('lists and closes the connections of a user on every process, from one that has none of them', async () => {
    const { bridge, openFor } = await start(2, cluster)
    const ada = [await openFor('ada', 0), await openFor('ada', 1), await openFor('ada', 1)]
    const grace = await openFor('grace', 0)

    const listed = await bridge.everywhere.connections({ user: 'ada' })
    expect(listed).toMatchObject({ count: 3, nodes: 3, complete: true })
    expect(listed.connections.map(({ user }) => user)).toEqual(['ada', 'ada', 'ada'])
    expect(new Set(listed.connections.map(({ node }) => node)).size).toBe(2)
    expect(JSON.stringify(listed)).not.toContain('ada-')

    const closed = await bridge.everywhere.disconnect({ user: 'ada' }, { code: 4000, reason: 'kicked' })
    expect(closed).toEqual({ count: 3, nodes: 3, complete: true })
    for (const socket of ada) expect(await socket.closed).toMatchObject({ code: 4000, reason: 'kicked' })
    expect(await bridge.everywhere.connections({ user: 'ada' })).toMatchObject({ count: 0, complete: true })
    expect((await bridge.everywhere.connections()).connections).toMatchObject([{ user: 'grace' }])
    grace.ws.close()
  })

  it('asks `authorize` of every process again, for a permission that is kept elsewhere', async () => {
    const { bridge, client, prefix, openFor } = await start(2, cluster)
    const ada = [await openFor('ada', 0), await openFor('ada', 1)]
    const grace = await openFor('grace', 1)
    await client.sAdd(`${prefix}banned`, 'ada')
    expect(await bridge.everywhere.reauthorize({ user: 'ada' })).toEqual({ count: 2, nodes: 3, complete: true })
    for (const socket of ada) expect((await socket.closed).code).toBe(4403)
    expect(await bridge.everywhere.reauthorize()).toMatchObject({ count: 1, complete: true })
    expect(grace.ws.readyState).toBe(grace.ws.OPEN)
  })

  it('answers in time and says that it is incomplete while a process stands still', async () => {
    const { bridge, nodes, openFor } = await start(2, cluster)
    await openFor('ada', 0)
    await openFor('ada', 1)
    const { process: stopped } = nodes[1]!
    stopped.kill('SIGSTOP')
    atEnd(() => stopped.kill('SIGCONT'))
    const from = performance.now()
    const listed = await bridge.everywhere.connections({ user: 'ada' })
    expect(listed).toMatchObject({ count: 1, nodes: 2, complete: false })
    expect(performance.now() - from).toBeLessThan(2 * timeoutMs)
    stopped.kill('SIGCONT')
    await expect
      .poll(async () => bridge.everywhere.connections({ user: 'ada' }), { timeout: 15_000 })
      .toMatchObject({ count: 2, nodes: 3, complete: true })
  })
})
