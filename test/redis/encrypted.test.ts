import { randomUUID } from 'node:crypto'
import { RedisStore } from 'connect-redis'
import { createClient } from 'redis'
import { beforeAll, describe, expect, it } from 'vitest'
import { redisLiveStore } from 'ws-session-bridge/redis'
import { startApp, type App } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { makeCertificate } from '../support/certificate.js'
import { open } from '../support/client.js'
import { connectCluster, type ClusterNode } from '../support/redis-cluster.js'
import { argumentsFor, encryptedOn, freePort } from '../support/redis-server.js'
import { startRedisCluster, startRedisServer, type RedisClient, type RedisCluster } from '../support/redis.js'

const password = 'a password'

/** A server that is reached by TLS alone, asks for a client's certificate and for a password. */
async function startEncryptedServer(): Promise<() => Promise<RedisClient>> {
  const [certificate, port] = [await makeCertificate(), await freePort()]
  await startRedisServer({
    port,
    args: argumentsFor({ ...encryptedOn(port, certificate, true), requirepass: password }),
  })
  const { cert, key } = certificate
  return async () => {
    const client = createClient({
      url: `rediss://127.0.0.1:${port}`,
      password,
      socket: { tls: true, ca: cert, cert, key },
    })
    client.on('error', () => undefined)
    await client.connect()
    atEnd(() => {
      client.destroy()
    })
    return client
  }
}

/** Two apps with the same sessions, each with a client of its own. */
async function startTwo(connect: () => Promise<RedisClient>) {
  const prefix = `test:${randomUUID()}:`
  const start = async (): Promise<App> => {
    const store = new RedisStore({ client: await connect(), prefix, ttl: 3600 })
    return await startApp({ store, bridge: { live: redisLiveStore(store) } })
  }
  return { one: await start(), other: await start(), prefix }
}

/** The connections on which Redis tells of changes. */
async function trackingConnections(admin: Pick<RedisClient, 'sendCommand'>): Promise<string[]> {
  const list = await admin.sendCommand<string>(['CLIENT', 'LIST'])
  return list.split('\n').filter((line) => / flags=\w*t/.test(line))
}

const idOf = (line: string): string => /id=(\d+)/.exec(line)![1]!

describe('one server by TLS', () => {
  it('is read, heard and written as without it, with the client’s own certificate and password', async () => {
    const connect = await startEncryptedServer()
    const { one, other } = await startTwo(connect)
    const cookie = await one.login('ada')
    const client = await open(one.wsUrl, { cookie })
    const [context] = [...one.bridge.connections()]
    const sessionID = context!.sessionID
    await other.bridge.update(sessionID, (draft) => void (draft.user = 'eve'))
    await expect.poll(() => context!.session.user).toBe('eve')

    // Its own connection is lost, and comes back as it was.
    const admin = await connect()
    const before = await trackingConnections(admin)
    expect(before).toHaveLength(2)
    for (const line of before) await admin.sendCommand(['CLIENT', 'KILL', 'ID', idOf(line)])
    await expect.poll(async () => (await trackingConnections(admin)).length).toBe(2)
    await other.bridge.update(sessionID, (draft) => void (draft.user = 'bea'))
    await expect.poll(() => context!.session.user).toBe('bea')

    await other.bridge.destroy(sessionID)
    expect(await client.closed).toEqual({ code: 4401, reason: 'destroyed' })
    expect([one.faults, other.faults]).toEqual([[], []])
  })
})

describe('a Cluster by TLS', () => {
  let cluster: RedisCluster

  beforeAll(async () => {
    cluster = await startRedisCluster({ certificate: await makeCertificate(), failsOver: true })
  }, 60_000)

  async function connect(): Promise<RedisClient> {
    const client = await connectCluster(cluster)
    atEnd(() => {
      client.destroy()
    })
    return client as unknown as RedisClient
  }

  it('is read, heard and written on each of its masters', async () => {
    const { one, other, prefix } = await startTwo(connect)
    const masters = new Set<ClusterNode>()
    while (masters.size < 3) {
      const cookie = await one.login('ada')
      const client = await open(one.wsUrl, { cookie })
      const sessionID = one.bridge.readSessionID(cookie)!
      const context = [...one.bridge.connections()].find((each) => each.sessionID === sessionID)!
      masters.add(await cluster.masterOf(prefix + sessionID))
      await other.bridge.update(sessionID, (draft) => void (draft.user = 'eve'))
      await expect.poll(() => context.session.user).toBe('eve')
      await other.bridge.destroy(sessionID)
      expect(await client.closed).toEqual({ code: 4401, reason: 'destroyed' })
    }
    for (const { admin } of masters) expect((await trackingConnections(admin)).length).toBeGreaterThanOrEqual(1)
    expect([one.faults, other.faults]).toEqual([[], []])
  })

  it('is heard on the replica that takes the place of a master', async () => {
    const { one, other, prefix } = await startTwo(connect)
    const cookie = await one.login('ada')
    await open(one.wsUrl, { cookie })
    const sessionID = one.bridge.readSessionID(cookie)!
    const [context] = [...one.bridge.connections()]
    const master = await cluster.masterOf(prefix + sessionID)
    // The first three are masters, the others their replicas in the same order.
    await cluster.caughtUp(cluster.nodes[cluster.nodes.indexOf(master) + 3]!, master)
    master.server.kill('SIGKILL')
    await cluster.failedOver()
    await expect
      .poll(() => other.bridge.update(sessionID, (draft) => void (draft.user = 'eve')).catch(() => undefined))
      .toBeDefined()
    await expect.poll(() => context!.session.user).toBe('eve')
    expect(context!.ended).toBeUndefined()
  })
})
