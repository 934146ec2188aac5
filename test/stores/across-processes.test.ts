import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { atEnd } from '../support/at-end.js'
import { startPostgresServer } from '../support/postgres.js'
import { startRedisServer } from '../support/redis.js'
import { inGroups, latenessOf } from '../support/reports.js'
import { scaled } from '../support/soak.js'
import { compileSharedNode, startNodes } from './shared-nodes.js'
import type { SharedNode } from './shared-node.js'

beforeAll(compileSharedNode)

const pairs: [name: SharedNode['name'], sharing: SharedNode['sharing'], server: () => Promise<{ port: number }>][] = [
  ['connect-pg-simple', 'postgresChannel', startPostgresServer],
  ['connect-redis 8 on ioredis', 'redisChannel', startRedisServer],
  ['session-file-store with `retries: 0`', 'clusterChannel', async () => ({ port: 0 })],
  ['better-sqlite3-session-store', 'clusterChannel', async () => ({ port: 0 })],
]

describe.each(pairs)('two processes on %s with %s', (name, sharing, startServer) => {
  it('hear of each change, logout and lost role that the other one makes', async () => {
    const { port } = await startServer()
    const folder = await mkdtemp(join(tmpdir(), 'ws-session-bridge-shared-'))
    atEnd(() => rm(folder, { recursive: true, force: true }))
    const place = { port, folder, prefix: `shared-${randomUUID()}` }
    const nodes = await startNodes(2, { name, sharing, place })
    const [near, far] = [nodes[0]!, nodes[1]!]
    const each = scaled(100, 500)
    const ids = Array.from({ length: 2 * each }, (_, index) => `id${index}`)
    await far.tell({ order: 'put', sessionIDs: ids, role: 'member' })
    await inGroups(ids, 50, (id) => near.open(id))

    const [some, others] = [ids.slice(0, each), ids.slice(each)]
    const changed = await far.tell({ order: 'put', sessionIDs: some, role: 'admin' })
    const change = await latenessOf(changed, [near.heard], 'change')
    const destroyed = await far.tell({ order: 'destroy', sessionIDs: some })
    const logout = await latenessOf(destroyed, [near.heard], 'end')
    const demoted = await far.tell({ order: 'put', sessionIDs: others, role: 'nobody' })
    const lostRole = await latenessOf(demoted, [near.heard], 'end')
    console.log(`${name}, ${sharing}: change ${change}, logout ${logout}, lost role ${lostRole}`)
    expect(near.heard.get('end')!.size).toBe(2 * each)
  })
})
