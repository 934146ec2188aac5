/*
 * How soon a node hears what another process does, and what it costs to listen.
 */
import { setTimeout as pause } from 'node:timers/promises'

import type { Bench, Workload } from '../bench.js'
import type { ClientCalls } from '../clients.js'
import { socketsMost } from '../machine.js'
import { start, type Process } from '../process.js'
import { openRedisStore } from '../redis-store.js'
import { quantile } from '../rounds.js'
import type { ServerCalls, ServerSettings } from '../server.js'
import { destroySession, fill, newRecord, sessionIDOf, setSession } from '../sessions.js'
import type { Row } from '../table.js'

type Redis = Awaited<ReturnType<typeof openRedisStore>>

/** Resolves to when it was done, by the clock of the machine, in ms. */
type Act = (index: number) => Promise<number>

export const hearing: Workload = {
  name: 'hearing',
  async run(bench) {
    const sockets = Math.min(bench.sized(10_000, 1_000), socketsMost())
    const title = `on another node, ${sockets} sockets, each of a session of its own, on Redis`
    bench.stage(title)
    const url = await bench.redisUrl()
    const redis = await openRedisStore(url)
    await fill(redis.store, sockets)
    const bare = await redis.info('used_memory')
    const settings: ServerSettings = { kind: 'bridge', sessions: 0, redis: { url, prefix: redis.prefix, live: true } }
    const server = await start<ServerCalls>('server.js', settings)
    const port = await server.call('port', undefined)
    const clients = await start<ClientCalls>('clients.js', { port })
    await clients.call('open', { first: 0, count: sockets })
    const tracked = ((await redis.info('used_memory')) - bare) / sockets

    const each = bench.sized(2_000, 200)
    const rows = [
      await latencies(bench, server, 'change', { first: 0, count: each }, (index) =>
        timed(() => setSession(redis.store, index, newRecord({ user: 'Grace Hopper' }))),
      ),
      await latencies(bench, server, 'logout', { first: each, count: each }, (index) =>
        timed(() => destroySession(redis.store, index)),
      ),
      await latencies(bench, server, 'expiry', { first: 2 * each, count: each }, expireSoon(redis)),
    ]
    bench.add({
      workload: 'hearing',
      title,
      columns: [
        { name: 'p50 ms', digits: 2 },
        { name: 'p99 ms', digits: 2 },
        { name: 'max ms', digits: 2 },
      ],
      rows,
      note: 'From the write (or the moment of the expiry) until the node has emitted `change` or `end`.',
    })
    bench.add(await idle(bench, redis, server, tracked))
    await clients.end()
    await server.end()
    await redis.close()
  },
}

async function latencies(
  bench: Bench,
  server: Process<ServerCalls>,
  what: 'change' | 'logout' | 'expiry',
  { first, count }: { first: number; count: number },
  act: Act,
): Promise<Row> {
  bench.progress(what)
  await server.call('listen', { event: what === 'change' ? 'change' : 'end', count })
  const doneAt = new Map<string, number>()
  for (let index = first; index < first + count; index += 1) {
    doneAt.set(sessionIDOf(index), await act(index))
    await pause(1)
  }
  const heard = await server.call('heard', undefined)
  const late = heard.map(([sessionID, at]) => at - (doneAt.get(sessionID) ?? NaN))
  return {
    name: { change: 'change, until heard', logout: 'logout, until ended', expiry: 'expiry, until ended' }[what],
    values: [quantile(late, 0.5), quantile(late, 0.99), quantile(late, 1)],
  }
}

/* From before the write, so that nothing of it is left out. */
async function timed(act: () => Promise<void>): Promise<number> {
  const at = performance.timeOrigin + performance.now()
  await act()
  return at
}

function expireSoon({ client, prefix }: Redis): Act {
  return async (index) => {
    const at = Date.now() + 500 + Math.floor(Math.random() * 1_000)
    await client.pExpireAt(prefix + sessionIDOf(index), at)
    return at
  }
}

async function idle(bench: Bench, redis: Redis, server: Process<ServerCalls>, tracked: number) {
  const seconds = bench.sized(20, 2)
  const { sockets = 0 } = (await server.call('stats', undefined)) ?? {}
  bench.progress(`idle for ${seconds} s`)
  const [commands, cpu] = [await redis.info('total_commands_processed'), await server.call('cpu', undefined)]
  await pause(seconds * 1_000)
  // INFO itself, at the beginning, is none of theirs.
  const made = (await redis.info('total_commands_processed')) - commands - 1
  const spent = (await server.call('cpu', undefined)) - cpu
  return {
    workload: 'hearing',
    title: `an idle node with ${sockets} sockets, for ${seconds} s`,
    columns: [{ name: '', digits: 2 }],
    rows: [
      { name: 'Redis commands a second', values: [made / seconds] },
      { name: 'CPU, % of one', values: [spent / seconds / 10_000] },
      { name: "Redis' memory for a session, bytes", values: [tracked] },
    ],
  }
}
