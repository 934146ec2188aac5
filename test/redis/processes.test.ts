import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { createSessionBridge } from 'ws-session-bridge'
import { MemoryStore } from 'express-session'
import { cookieOf } from '../support/app.js'
import { open } from '../support/client.js'
import { recordOf } from '../store/live-store-suite.js'
import { compiled, forked } from '../support/forked.js'
import { inGroups, latenessOf, listenTo, now, type Heard, type Heardings } from '../support/reports.js'
import { redisUrl, startRedisCluster, startRedisStore, type RedisCluster } from '../support/redis.js'
import type { Order } from './node-process.js'

let script: string
beforeAll(() => {
  script = join(compiled('test/redis', 'test/support'), 'test/redis/node-process.js')
})

async function startProcesses(count: number, cluster?: RedisCluster) {
  const { client, prefix } = await startRedisStore(cluster)
  const place = cluster === undefined ? { url: redisUrl() } : { rootNodes: cluster.rootNodes }
  const processes = await Promise.all(Array.from({ length: count }, () => forked(script, { ...place, prefix })))
  const reader = createSessionBridge({ session: { store: new MemoryStore(), secret: 'a secret' } })
  const nodes = processes.map(({ process, first }) => ({
    process,
    post: (path: string, cookie?: string) =>
      fetch(`http://127.0.0.1:${Number(first)}${path}`, {
        method: 'POST',
        headers: cookie === undefined ? {} : { cookie },
      }),
    open: (cookie: string) => open(`ws://127.0.0.1:${Number(first)}/`, { cookie }),
  }))
  const login = async () => {
    const response = await nodes[0]!.post('/login?name=ada')
    // express-session lets the last byte go when the session is saved.
    await response.text()
    const cookie = cookieOf(response)
    const sessionID = reader.readSessionID(cookie)!
    return { cookie, sessionID, key: prefix + sessionID }
  }
  return { nodes, client, prefix, login, cookieFor: (sessionID: string) => reader.signedCookie(sessionID) }
}

describe.each(['one Redis', 'a Cluster'])('two processes on %s', (kind) => {
  let cluster: RedisCluster | undefined
  beforeAll(async () => {
    cluster = kind === 'a Cluster' ? await startRedisCluster() : undefined
  })

  it('hear of a change, a logout and a new ID that the other one makes', async () => {
    const { nodes, login } = await startProcesses(2, cluster)
    const [one, two] = nodes
    for (const leave of ['/logout', '/regenerate?name=ada']) {
      const { cookie } = await login()
      const { next, closed } = await two!.open(cookie)
      await one!.post('/set?key=role&value=admin', cookie)
      expect(JSON.parse(await next())).toMatchObject({ user: 'ada', role: 'admin' })
      await one!.post(leave, cookie)
      expect((await closed).code).toBe(4401)
    }
  })

  it('hear of an expiry, of a TTL shortened by hand, and of a record whose own date is stale', async () => {
    const { nodes, client, login } = await startProcesses(2, cluster)
    const { cookie, key } = await login()
    const record = JSON.parse((await client.get(key))!) as { cookie: { expires: string | null } }
    record.cookie.expires = new Date(Date.now() - 60_000).toISOString()
    await client.set(key, JSON.stringify(record), { expiration: { type: 'EX', value: 3600 } })
    const sockets = await Promise.all(nodes.map((node) => node.open(cookie)))
    await client.pExpire(key, 1_000)
    const expiresAt = Date.now() + 1_000
    for (const { closed } of sockets) expect(await closed).toMatchObject({ code: 4401 })
    expect(Date.now() - expiresAt).toBeLessThan(5_000)
  })

  it('and four with fifty writers each lose none of 10,000 increments of one session, and keep its TTL', async () => {
    const { nodes, client, login } = await startProcesses(4, cluster)
    const { key, sessionID } = await login()
    await client.expire(key, 1_000)
    const order: Order = { writers: 50, increments: 50, sessionID }
    const answers = await Promise.all(
      nodes.map(async ({ process }) => {
        process.send(order)
        return ((await once(process, 'message')) as [unknown])[0]
      }),
    )
    expect(answers).toEqual(['done', 'done', 'done', 'done'])
    expect(JSON.parse((await client.get(key))!)).toMatchObject({ views: 10_000 })
    const left = await client.ttl(key)
    expect(left).toBeGreaterThan(900)
    expect(left).toBeLessThanOrEqual(1_000)
  })

  it('with 3,000 sockets hear of every change, logout and expiry', async () => {
    const { nodes, client, prefix, cookieFor } = await startProcesses(2, cluster)
    const sessions = 1_500
    const ids = Array.from({ length: sessions }, (_, index) => `id${index}`)
    const put = (id: string, user: string, px = 600_000) =>
      client.set(prefix + id, JSON.stringify(recordOf({ user }, px)), { expiration: { type: 'PX', value: px } })
    await Promise.all(ids.map((id) => put(id, 'ada')))
    for (const node of nodes) await inGroups(ids, 100, (id) => node.open(cookieFor(id)))
    const heard = nodes.map(({ process }) => listenTo(process))

    const changed = await lateness(ids.slice(0, 500), heard, 'change', (id) => put(id, 'eve'))
    const loggedOut = await lateness(ids.slice(0, 500), heard, 'end', (id) => client.del(prefix + id))
    const expiring = ids.slice(500, 1_000)
    const expiresAt = new Map<string, number>()
    const shorten = async (id: string) => {
      await client.pExpire(prefix + id, 1_500)
      expiresAt.set(id, now() + 1_500)
    }
    const expired = await lateness(expiring, heard, 'end', shorten, expiresAt)
    console.log(`${kind}, 3,000 sockets: change ${changed}, logout ${loggedOut}, expiry ${expired}`)
    for (const process of heard) expect(process.get('end')!.size).toBe(1_000)
  })
})

/** Does something to one session after another; resolves, when all processes have heard of all of them, to how late that was. */
async function lateness(
  ids: readonly string[],
  heard: readonly Heardings[],
  event: Heard['event'],
  act: (id: string) => Promise<unknown>,
  due = new Map<string, number>(),
): Promise<string> {
  for (const id of ids) {
    if (due.size < ids.length && !due.has(id)) due.set(id, now())
    await act(id)
    // A steady stream: what is measured is the way of one report, not how many fit into a second.
    await pause(2)
  }
  return latenessOf(due, heard, event)
}
