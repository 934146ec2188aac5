import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { createClient } from 'redis'
import { describe, expect, it } from 'vitest'
import { ChannelUnavailableError } from 'ws-session-bridge'
import { atEnd } from '../support/at-end.js'
import { chaos, connectToEach } from '../support/chaos.js'
import { open } from '../support/client.js'
import { createRandom } from '../support/random.js'
import {
  startClusterClient,
  startRedisCluster,
  startRedisServer,
  type RedisClient,
  type RedisCluster,
} from '../support/redis.js'
import { scaled, seedOf } from '../support/soak.js'
import { recordOf } from '../store/live-store-suite.js'
import { startOnRedis } from './app-on-redis.js'

// The same again: CHAOS_SEED=… npx vitest run test/redis/chaos.test.ts; longer: CHAOS_MS=600000.
const seed = seedOf('CHAOS_SEED')
const chaosMs = Number(process.env.CHAOS_MS ?? scaled(10_000, 300_000))
const sessions = 30

/** Where the sessions are, and what befalls it round by round. */
interface Scene {
  readonly at: { url: string } | { cluster: RedisCluster }
  /** A client that queues nothing, so that nothing is written long after it was meant. */
  readonly http: RedisClient
  /** Ends connections of clients. */
  killConnections(skipMe: 'yes' | 'no'): Promise<unknown>
  trouble(round: number, below: (limit: number) => number): Promise<void>
  /** The clients of all servers, a line for each. */
  clients(): Promise<string>
}

const scenes: Record<string, () => Promise<Scene>> = {
  async 'one Redis'() {
    let server = await startRedisServer()
    const http = createClient({ url: server.url, disableOfflineQueue: true, socket: { reconnectStrategy: 50 } })
    http.on('error', () => undefined)
    await http.connect()
    atEnd(() => {
      http.destroy()
    })
    return {
      at: { url: server.url },
      http,
      killConnections: (skipMe) => http.sendCommand(['CLIENT', 'KILL', 'SKIPME', skipMe]),
      clients: () => http.sendCommand<string>(['CLIENT', 'LIST']),
      async trouble(round, below) {
        if (round % 4 === 0) {
          await server.stop()
          await pause(below(1_000))
          server = await startRedisServer({ port: server.port })
        } else {
          server.kill('SIGSTOP')
          await pause(below(1_000))
          server.kill('SIGCONT')
        }
      },
    }
  },
  async 'a Cluster'() {
    const cluster = await startRedisCluster({ failsOver: true })
    const http = await startClusterClient(cluster)
    const someone = (below: (limit: number) => number) => cluster.nodes[below(cluster.nodes.length)]!
    return {
      at: { cluster },
      http,
      // Each spares the connection that says so: it is the one that the fixture moves slots by.
      killConnections: () =>
        Promise.all(
          cluster.nodes.flatMap(({ admin }) =>
            ['normal', 'pubsub'].map((type) => admin.sendCommand(['CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes'])),
          ),
        ),
      async clients() {
        const lists = cluster.nodes.map(({ admin }) => admin.sendCommand<string>(['CLIENT', 'LIST']))
        return (await Promise.all(lists)).join('\n')
      },
      async trouble(round, below) {
        const { node: master } = (await cluster.owners())[below(3)]!
        if (round % 3 === 1) {
          // It comes back empty, as the replica of the one that took its place.
          master.server.kill('SIGKILL')
          await cluster.failedOver().finally(() => cluster.restart(master))
        } else if (round % 3 === 2) {
          const node = someone(below)
          node.server.kill('SIGSTOP')
          await pause(below(800))
          node.server.kill('SIGCONT')
        } else {
          const other = (await cluster.owners()).map(({ node }) => node).find((node) => node !== master)!
          const [slot] = await cluster.slotsOf(master)
          // A failover of the round before may have taken them all since, or may be going on: then the slot stays where it is.
          if (slot === undefined) return
          const halfway = async () => {
            await pause(below(100))
            if (below(3) === 0) throw new Error('The move is called off.')
          }
          await cluster.moveSlot(slot, master, other, halfway).catch(() => cluster.leaveSlot(slot, master, other))
        }
      },
    }
  },
}

describe.each(Object.keys(scenes))('chaos on %s', (name) => {
  it('ends with no stale snapshot and no socket of a gone session', { timeout: chaosMs + 60_000 }, async () => {
    const random = createRandom(seed)
    const { below } = random
    const prefix = `chaos:${randomUUID()}:`
    const { at, http, killConnections, trouble, clients } = await scenes[name]!()
    const startNode = () => startOnRedis({ ...at, store: { prefix }, live: { timeoutMs: 300 } })
    const nodes = [await startNode(), await startNode()]

    const ids = Array.from({ length: sessions }, (_, index) => `id${index}`)
    const anyID = () => ids[below(sessions)]!
    const anyNode = () => nodes[below(nodes.length)]!
    let serial = 0
    const put = (id: string) =>
      http.set(prefix + id, JSON.stringify(recordOf({ views: (serial += 1) })), {
        expiration: { type: 'EX', value: 600 },
      })
    const connect = ({ wsUrl, bridge } = anyNode(), id = anyID()) => open(wsUrl, { cookie: bridge.signedCookie(id) })
    const acts: [weight: number, act: () => Promise<unknown>][] = [
      [30, () => put(anyID())],
      [30, () => anyNode().bridge.update(anyID(), (draft) => void (draft.views = serial += 1))],
      [20, () => http.expire(prefix + anyID(), 600 + below(100))],
      [5, () => http.del(prefix + anyID())],
      [5, () => anyNode().bridge.destroy(anyID())],
      [2, () => http.pExpire(prefix + anyID(), 1 + below(500))],
      [20, () => connect()],
      [3, () => killConnections(random.share() < 0.5 ? 'yes' : 'no')],
    ]

    await Promise.all(ids.map(put))
    // One by one: all at once would be late for the deadline of a busy machine's store.
    for (const id of ids) await connectToEach(nodes, (node) => connect(node, id))
    await chaos({
      random,
      forMs: chaosMs,
      acts,
      // Chaos meets itself: whoever makes trouble loses connections, too, and that round is over.
      trouble: (round) => trouble(round, below).catch(() => undefined),
      quietMs: 3_000,
    })

    await expect.poll(() => http.isReady).toBe(true)
    // A Cluster may be finding itself again.
    await expect.poll(() => put(ids[0]!), { timeout: 10_000 }).toBe('OK')
    await connectToEach(nodes, (node) => connect(node, ids[0]))
    /* Nothing is written any longer: a session that is wrong now stays wrong. */
    const differences = async () => {
      const found: string[] = []
      for (const [number, { bridge }] of nodes.entries()) {
        for (const { sessionID, session } of bridge.connections()) {
          const text = await http.get(prefix + sessionID)
          const views = text === null ? 'none' : (JSON.parse(text) as { views: number }).views
          if (views !== session.views) found.push(`node ${number}, ${sessionID}: ${session.views} instead of ${views}`)
        }
      }
      return found
    }
    await expect.poll(differences, { timeout: 20_000 }).toEqual([])
    for (const { bridge, faults } of nodes) {
      const { sockets, ended } = bridge.stats()
      expect(sockets).toBeGreaterThan(0)
      expect(ended.destroyed).toBeGreaterThan(0)
      expect(ended).toMatchObject({ unverified: 0, forbidden: 0, shutdown: 0 })
      // While Redis hangs, nothing can be told on the channel, which is told once a minute.
      expect(faults.filter((fault) => !(fault instanceof ChannelUnavailableError))).toEqual([])
    }

    const tracking = async () => (await clients()).split('\n').filter((line) => / flags=\w*t/.test(line)).length
    await expect.poll(tracking).toBeGreaterThan(0)
    await Promise.all(nodes.map((node) => node.stop()))
    await expect.poll(tracking).toBe(0)
    for (const { bridge, server } of nodes) {
      expect(bridge.stats()).toMatchObject({ pending: 0, sockets: 0, sessions: 0 })
      expect(server.listenerCount('upgrade')).toBe(0)
    }
  })
})
