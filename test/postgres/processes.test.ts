import { tmpdir } from 'node:os'
import { promisify } from 'node:util'
import connectPgSimple from 'connect-pg-simple'
import session from 'express-session'
import { beforeAll, describe, expect, it } from 'vitest'
import { postgresTrigger } from 'ws-session-bridge/postgres'
import { recordOf } from '../store/live-store-suite.js'
import { compileSharedNode, startNodes } from '../stores/shared-nodes.js'
import { startPool, startPostgresServer } from '../support/postgres.js'
import { inGroups, latenessOf } from '../support/reports.js'
import { scaled } from '../support/soak.js'

beforeAll(compileSharedNode)

const createTable =
  'CREATE TABLE session (sid varchar NOT NULL PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)'

async function start(count: number) {
  const { url, port } = await startPostgresServer()
  const pool = startPool(url)
  await pool.query(createTable)
  await pool.query(postgresTrigger())
  const store = new (connectPgSimple(session))({ pool, pruneSessionInterval: false })
  const place = { port, folder: tmpdir(), prefix: 'postgres' }
  const nodes = await startNodes(count, { name: 'connect-pg-simple', sharing: 'postgresLiveStore', place })
  return { pool, nodes, put: promisify(store.set.bind(store)) }
}

describe('processes with postgresLiveStore', () => {
  it('that are four, with fifty writers each, lose none of 10,000 increments of one session', async () => {
    const { nodes, pool, put } = await start(4)
    await put('id', recordOf({ views: 0 }))
    await Promise.all(
      nodes.map((node) => node.tell({ order: 'increment', sessionID: 'id', writers: 50, increments: 50 })),
    )
    const { rows } = await pool.query<{ views: string }>("SELECT sess->>'views' AS views FROM session")
    expect(rows).toEqual([{ views: '10000' }])
  }, 240_000)

  it('that are two hear of every change and logout, with thousands of sockets', async () => {
    const sessions = scaled(400, 1_500)
    const { nodes } = await start(2)
    const ids = Array.from({ length: sessions }, (_, index) => `id${index}`)
    await nodes[0]!.tell({ order: 'put', sessionIDs: ids, role: 'member' })
    for (const node of nodes) await inGroups(ids, 100, (id) => node.open(id))
    const near = nodes[0]!.heard

    const some = ids.slice(0, scaled(200, 500))
    const changed = await nodes[1]!.tell({ order: 'put', sessionIDs: some, role: 'admin' })
    const change = await latenessOf(changed, [near], 'change')
    const destroyed = await nodes[1]!.tell({ order: 'destroy', sessionIDs: some })
    const logout = await latenessOf(destroyed, [near], 'end')
    console.log(`PostgreSQL, ${2 * sessions} sockets on two processes: change ${change}, logout ${logout}`)
    expect(near.get('end')!.size).toBe(some.length)
  }, 240_000)
})
