import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { postgresChannel, postgresLiveStore } from 'ws-session-bridge/postgres'
import { ChannelUnavailableError } from 'ws-session-bridge'
import { recordOf } from '../store/live-store-suite.js'
import { startApp } from '../support/app.js'
import { chaos, connectToEach } from '../support/chaos.js'
import { open } from '../support/client.js'
import { startPgStore, startPostgresServer } from '../support/postgres.js'
import { createRandom } from '../support/random.js'
import { scaled, seedOf } from '../support/soak.js'

// The same again: CHAOS_SEED=… npx vitest run test/postgres/chaos.test.ts; longer: CHAOS_MS=600000.
const seed = seedOf('CHAOS_SEED')
const chaosMs = Number(process.env.CHAOS_MS ?? scaled(15_000, 180_000))
const sessions = 30

async function startNode(url: string, tableName: string) {
  const { pool, store, newClient } = await startPgStore(url, { tableName })
  const live = postgresLiveStore(pool, { newClient, tableName, timeoutMs: 300 })
  const channel = postgresChannel(newClient, { name: tableName, timeoutMs: 300 })
  return { ...(await startApp({ store, bridge: { live, channel } })), pool }
}

describe('chaos on PostgreSQL', () => {
  it('ends with no stale snapshot and no socket of a gone session', { timeout: chaosMs + 120_000 }, async () => {
    const random = createRandom(seed)
    const { below } = random
    let server = await startPostgresServer()
    const { pool, store, tableName } = await startPgStore(server.url)
    const nodes = [await startNode(server.url, tableName), await startNode(server.url, tableName)]

    const ids = Array.from({ length: sessions }, (_, index) => `id${index}`)
    const anyID = () => ids[below(sessions)]!
    const anyNode = () => nodes[below(nodes.length)]!
    const set = promisify(store.set.bind(store))
    let serial = 0
    const put = (id: string) => set(id, recordOf({ views: (serial += 1) }))
    const connect = ({ wsUrl, bridge } = anyNode(), id = anyID()) => open(wsUrl, { cookie: bridge.signedCookie(id) })
    const table = `"${tableName}"`
    const acts: [weight: number, act: () => Promise<unknown>][] = [
      [30, () => put(anyID())],
      [30, () => anyNode().bridge.update(anyID(), (draft) => void (draft.views = serial += 1))],
      [5, () => pool.query(`DELETE FROM ${table} WHERE sid = $1`, [anyID()])],
      [5, () => anyNode().bridge.destroy(anyID())],
      [2, () => pool.query(`UPDATE ${table} SET expire = now() + interval '1 s' WHERE sid = $1`, [anyID()])],
      [20, () => connect()],
      [2, () => pool.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()')],
    ]
    const trouble = async (round: number) => {
      if (round % 3 === 0) {
        server.kill('SIGSTOP')
        await pause(below(1_000))
        server.kill('SIGCONT')
        return
      }
      await server.crash()
      await pause(below(1_000))
      server = await server.restart()
    }

    await Promise.all(ids.map(put))
    // One by one: all at once would be late for the deadline of a busy machine's store.
    for (const id of ids) await connectToEach(nodes, (node) => connect(node, id))
    await chaos({ random, forMs: chaosMs, acts, trouble, quietMs: 5_000 })
    await expect.poll(() => put(ids[0]!)).toBeUndefined()
    await connectToEach(nodes, (node) => connect(node, ids[0]))

    /* Nothing is written any longer: a session that is wrong now stays wrong. */
    const differences = async () => {
      const { rows } = await pool.query<{ sid: string; views: string }>(
        `SELECT sid, sess->>'views' AS views FROM ${table} WHERE expire >= to_timestamp(extract(epoch FROM now())::int)`,
      )
      const kept = new Map(rows.map(({ sid, views }) => [sid, Number(views)]))
      return nodes.flatMap(({ bridge }, number) =>
        [...bridge.connections()]
          .filter(({ sessionID, session }) => kept.get(sessionID) !== session.views)
          .map(
            ({ sessionID, session }) => `node ${number}, ${sessionID}: ${session.views}, not ${kept.get(sessionID)}`,
          ),
      )
    }
    await expect.poll(() => differences().catch(String), { timeout: 20_000 }).toEqual([])
    for (const { bridge, faults } of nodes) {
      const { sockets, ended } = bridge.stats()
      expect(sockets).toBeGreaterThan(0)
      expect(ended.destroyed).toBeGreaterThan(0)
      expect(ended).toMatchObject({ unverified: 0, forbidden: 0, shutdown: 0 })
      // While PostgreSQL is down, nothing can be told on the channel, and nothing can be heard: each is told, and nothing else.
      const isOutage = (fault: unknown) =>
        fault instanceof ChannelUnavailableError || String(fault).includes('PostgreSQL cannot be listened to')
      expect(faults.filter((fault) => !isOutage(fault))).toEqual([])
    }

    const listening = async () => {
      const { rows } = await pool.query("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
      return rows.length
    }
    await Promise.all(nodes.map((node) => node.stop()))
    await expect.poll(listening).toBe(0)
    for (const { bridge, server: http } of nodes) {
      expect(bridge.stats()).toMatchObject({ pending: 0, sockets: 0, sessions: 0 })
      expect(http.listenerCount('upgrade')).toBe(0)
    }
    await server.stop()
  })
})
