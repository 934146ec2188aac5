/*
 * Updates of the same sessions by four processes, on PostgreSQL.
 */
import { randomUUID } from 'node:crypto'

import type { Workload } from '../bench.js'
import { start } from '../process.js'
import type { ServerCalls, ServerSettings } from '../server.js'
import { createTable, type SharedSettings } from '../shared-store.js'
import type { Row } from '../table.js'

const processes = 4
const sessions = 100

export const postgres: Workload = {
  name: 'postgres',
  async run(bench) {
    const updates = bench.sized(10_000, 1_000)
    const rows: Row[] = []
    for (const sharing of ['postgresLiveStore', 'postgresChannel'] as const) {
      bench.stage(`postgres, ${sharing}`)
      const shared: SharedSettings = {
        sharing,
        url: await bench.postgresUrl(),
        name: `bench_${randomUUID().slice(0, 8)}`,
      }
      await createTable(shared)
      const settings: ServerSettings = { kind: 'bridge', sessions: 0, shared }
      const servers = await Promise.all(
        Array.from({ length: processes }, () => start<ServerCalls>('server.js', settings)),
      )
      const [first] = servers
      await first?.call('refill', { first: 0, count: sessions })
      const begun = performance.now()
      const share = { first: 0, count: sessions, updates: updates / processes }
      await Promise.all(servers.map((server) => server.call('increment', share)))
      const seconds = (performance.now() - begun) / 1_000
      const survived = (await first?.call('total', { first: 0, count: sessions })) ?? NaN
      await Promise.all(servers.map((server) => server.end()))
      rows.push({
        name: sharing === 'postgresLiveStore' ? sharing : 'connect-pg-simple with postgresChannel',
        values: [updates / seconds, survived, updates],
      })
    }
    bench.add({
      workload: 'postgres',
      title: `updates of ${sessions} sessions by ${processes} processes, on PostgreSQL`,
      columns: [
        { name: 'a second', digits: 0 },
        { name: 'survive', digits: 0 },
        { name: 'of', digits: 0 },
      ],
      rows,
      aims: [{ what: 'postgresLiveStore: updates lost', atMost: 0, got: updates - (rows[0]?.values[1] ?? NaN) }],
      note: 'Each update adds 1, 16 at once in each process. Only a LiveStore compares and writes in one statement.',
    })
  },
}
