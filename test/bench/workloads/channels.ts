/*
 * How soon a process closes the sockets of a session or a user that another process has ended, and what it pays for the logins there.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'

import { clusterChannel } from 'ws-session-bridge/cluster'

import type { Bench, Workload } from '../bench.js'
import type { ClientCalls } from '../clients.js'
import { start, startWorker, type Process } from '../process.js'
import { quantile } from '../rounds.js'
import type { Moment, Range, ServerCalls, ServerSettings } from '../server.js'
import { createTable, isOnPostgres, type SharedSettings, type Sharing } from '../shared-store.js'
import type { Aim, Row } from '../table.js'

const named: Record<Sharing, string> = {
  redisLiveStore: 'redisLiveStore',
  redisChannel: 'redisChannel, connect-redis 8 on ioredis',
  postgresLiveStore: 'postgresLiveStore, with postgresChannel',
  postgresChannel: 'postgresChannel, connect-pg-simple',
  clusterChannel: 'clusterChannel, connect-redis 9',
}

/** Two processes that share a store. The clients' sockets are on the first one. */
interface Pair {
  readonly near: Process<ServerCalls>
  readonly far: Process<ServerCalls>
  readonly clients: Process<ClientCalls>
}

export const channels: Workload = {
  name: 'channels',
  async run(bench) {
    const sockets = bench.sized(3_000, 600)
    const each = bench.sized(500, 100)
    const logouts: Row[] = []
    const users: Row[] = []
    const logins: Row[] = []
    for (const sharing of Object.keys(named) as Sharing[]) {
      bench.stage(`channels, ${named[sharing]}`)
      const pair = await startPair(bench, sharing, sockets)
      logouts.push(await latency(named[sharing], pair, 'logoutEach', { first: 0, count: each }))
      users.push(await latency(named[sharing], pair, 'disconnectUsers', { first: each, count: each }))
      logins.push(await hearLogins(bench, named[sharing], pair))
      await Promise.all([pair.near.end(), pair.far.end(), pair.clients.end()])
    }
    const columns = ['p50 ms', 'p99 ms', 'max ms'].map((name) => ({ name, digits: 2 }))
    const workload = 'channels'
    bench.add({
      workload,
      title: `a logout by another process, ${sockets} sockets, each of a session of its own`,
      columns,
      rows: logouts,
      aims: logouts.map((row) => p99Aim(row, row.name === named.postgresLiveStore ? 50 : 100)),
      note: 'From before `store.destroy` in one process until a client of the other one has the close frame.',
    })
    bench.add({
      workload,
      title: `everywhere.disconnect({ user }) by a process without that user, ${sockets} sockets of as many users`,
      columns,
      rows: users,
      aims: users.map((row) => p99Aim(row, 50)),
      note: 'From before the call until the client has the close frame.',
    })
    bench.add({
      workload,
      title: `1,000 logins a second on one process: what another one pays, with ${sockets - 2 * each} sockets`,
      columns: [{ name: 'CPU, % of a core', digits: 2 }],
      rows: logins,
      aims: logins.map(({ name, values: [percent = NaN] }) => ({ what: name, atMost: 5, got: percent })),
      note: 'A login is `store.destroy` of the session before and `store.set` of the new one. What the process spends when idle is subtracted.',
    })
  },
}

async function startPair(bench: Bench, sharing: Sharing, sockets: number): Promise<Pair> {
  const url = await (isOnPostgres(sharing) ? bench.postgresUrl() : bench.redisUrl())
  const shared: SharedSettings = { sharing, url, name: `bench_${randomUUID().slice(0, 8)}` }
  await createTable(shared)
  const settings: ServerSettings = { kind: 'bridge', sessions: 0, shared, identify: true }
  if (sharing === 'clusterChannel') clusterChannel.relay()
  const startNode = sharing === 'clusterChannel' ? startWorker<ServerCalls> : start<ServerCalls>
  const [near, far] = await Promise.all([startNode('server.js', settings), startNode('server.js', settings)])
  await near.call('refillUsers', { first: 0, count: sockets })
  const clients = await start<ClientCalls>('clients.js', { port: await near.call('port', undefined) })
  await clients.call('open', { first: 0, count: sockets })
  // Until the processes know of each other.
  await pause(1_500)
  return { near, far, clients }
}

async function latency(
  name: string,
  { far, clients }: Pair,
  call: 'logoutEach' | 'disconnectUsers',
  range: Range,
): Promise<Row> {
  await clients.call('listen', { count: range.count })
  const begun = new Map<number, number>(await far.call(call, range))
  const closed: Moment[] = await clients.call('closed', undefined)
  const late = closed.map(([index, at]) => at - (begun.get(index) ?? NaN))
  return { name, values: [quantile(late, 0.5), quantile(late, 0.99), quantile(late, 1)] }
}

async function hearLogins(bench: Bench, name: string, { near, far }: Pair): Promise<Row> {
  const seconds = bench.sized(10, 3)
  const idle = await cpuDuring(near, () => pause(seconds * 1_000))
  const busy = await cpuDuring(near, () => far.call('logins', { perSecond: 1_000, seconds }))
  return { name, values: [Math.max(busy - idle, 0) / seconds / 10_000] }
}

async function cpuDuring(server: Process<ServerCalls>, work: () => Promise<unknown>): Promise<number> {
  const before = await server.call('cpu', undefined)
  await work()
  return (await server.call('cpu', undefined)) - before
}

function p99Aim({ name, values }: Row, atMost: number): Aim {
  return { what: `${name}: p99, ms`, atMost, got: values[1] ?? NaN }
}
