import { randomInt, randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { createClient } from 'redis'
import { describe, expect, it } from 'vitest'
import { atEnd } from '../support/at-end.js'
import { open } from '../support/client.js'
import { startRedisServer } from '../support/redis.js'
import { recordOf } from '../store/live-store-suite.js'
import { startOnRedis } from './app-on-redis.js'

// The same again: CHAOS_SEED=… npx vitest run test/redis/chaos.test.ts; longer: CHAOS_MS=600000.
const seed = Number(process.env.CHAOS_SEED ?? randomInt(2 ** 31))
const chaosMs = Number(process.env.CHAOS_MS ?? 20_000)
const sessions = 30

describe('chaos', () => {
  it('ends with no stale snapshot and no socket of a gone session', { timeout: chaosMs + 60_000 }, async () => {
    console.log(`chaos: seed ${seed}`)
    const random = randomOf(seed)
    const below = (limit: number) => Math.floor(random() * limit)
    const prefix = `chaos:${randomUUID()}:`
    let server = await startRedisServer()
    const startNode = () => startOnRedis({ url: server.url, store: { prefix }, live: { timeoutMs: 300 } })
    const nodes = [await startNode(), await startNode()]
    // What HTTP does on yet another node; without a queue, so that nothing is written long after it was meant.
    const http = createClient({ url: server.url, disableOfflineQueue: true, socket: { reconnectStrategy: 50 } })
    http.on('error', () => undefined)
    await http.connect()
    atEnd(() => {
      http.destroy()
    })

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
      [3, () => http.sendCommand(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', random() < 0.5 ? 'yes' : 'no'])],
    ]
    const weights = acts.reduce((sum, [weight]) => sum + weight, 0)
    const act = () => {
      let left = random() * weights
      return acts.find(([weight]) => (left -= weight) < 0)![1]()
    }

    await Promise.all(ids.map(put))
    for (const node of nodes) await Promise.all(ids.map((id) => connect(node, id)))
    const until = performance.now() + chaosMs
    const trouble = async () => {
      // The last two seconds are for sessions and sockets to come again after a restart.
      for (let round = 1; performance.now() < until - 2_000; round += 1) {
        await pause(500 + below(1_500))
        if (round % 4 === 0) {
          await server.stop()
          await pause(below(1_000))
          server = await startRedisServer({ port: server.port })
        } else {
          server.kill('SIGSTOP')
          await pause(below(1_000))
          server.kill('SIGCONT')
        }
      }
    }
    const troubled = trouble()
    const underWay = new Set<Promise<unknown>>()
    while (performance.now() < until) {
      const acting = act().catch(() => undefined)
      underWay.add(acting)
      void acting.then(() => underWay.delete(acting))
      await pause(below(20))
    }
    await troubled
    await Promise.all(underWay)

    await expect.poll(() => http.isReady).toBe(true)
    /* Nothing is written any more: whoever is wrong now stays wrong. */
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
    await expect.poll(differences, { timeout: 5_000 }).toEqual([])
    for (const { bridge } of nodes) {
      const { sockets, ended, faults } = bridge.stats()
      expect(sockets).toBeGreaterThan(0)
      expect(ended.destroyed).toBeGreaterThan(0)
      expect(ended).toMatchObject({ unverified: 0, forbidden: 0, shutdown: 0 })
      expect(faults).toBe(0)
    }
  })
})

/** mulberry32: the same numbers for the same seed. */
function randomOf(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
