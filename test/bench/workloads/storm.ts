/*
 * All clients come back at once, as after a proxy's restart.
 */
import type { Bench, Workload } from '../bench.js'
import type { ClientCalls } from '../clients.js'
import { socketsMost } from '../machine.js'
import { start } from '../process.js'
import { openRedisStore } from '../redis-store.js'
import type { ServerCalls, ServerSettings } from '../server.js'
import { fill } from '../sessions.js'
import type { Row } from '../table.js'

interface Candidate {
  readonly name: string
  readonly settings: Pick<ServerSettings, 'kind' | 'bridge'>
  readonly retry: boolean
}

const byDefault: Candidate = { name: 'bridge, default options', settings: { kind: 'bridge' }, retry: false }

const candidates: readonly Candidate[] = [
  { name: 'express-session middleware', settings: { kind: 'middleware' }, retry: false },
  byDefault,
  {
    name: 'bridge, maxPending 1 000, clients that retry',
    settings: { kind: 'bridge', bridge: { maxPending: 1_000 } },
    retry: true,
  },
]

export const storm: Workload = {
  name: 'storm',
  async run(bench) {
    const clients = Math.min(bench.sized(10_000, 1_000), socketsMost())
    const redis = await openRedisStore(await bench.redisUrl())
    await fill(redis.store, clients)
    const rows = new Map<Candidate, Row>()
    for (const candidate of candidates) rows.set(candidate, await measure(bench, candidate, redis, clients))
    await redis.close()
    bench.add({
      workload: 'storm',
      title: `a reconnect storm: ${clients} clients at once, each with a session of its own, on Redis`,
      columns: [
        { name: 'last in after, ms', digits: 0 },
        { name: 'server CPU ms', digits: 0 },
        { name: 'Redis commands', digits: 0 },
        { name: 'attempts', digits: 0 },
        { name: 'refused', digits: 0 },
      ],
      rows: [...rows.values()],
      aims: [
        { what: `${byDefault.name}: refused`, atMost: 0, got: rows.get(byDefault)?.values[4] ?? NaN },
        { what: `${byDefault.name}: last in after, ms`, atMost: 1_500, got: rows.get(byDefault)?.values[0] ?? NaN },
      ],
      note: 'The bridge is that with redisLiveStore. From the cut until the last client has its 101.',
    })
  },
}

async function measure(
  bench: Bench,
  { name, settings, retry }: Candidate,
  redis: Awaited<ReturnType<typeof openRedisStore>>,
  count: number,
): Promise<Row> {
  bench.stage(`storm of ${count}, ${name}`)
  const url = await bench.redisUrl()
  const server = await start<ServerCalls>('server.js', {
    ...settings,
    sessions: 0,
    redis: { url, prefix: redis.prefix, live: settings.kind === 'bridge' },
  } satisfies ServerSettings)
  const clients = await start<ClientCalls>('clients.js', { port: await server.call('port', undefined) })
  await clients.call('open', { first: 0, count })
  const [commands, cpu] = [await redis.info('total_commands_processed'), await server.call('cpu', undefined)]
  const back = clients.call('storm', { retry })
  await server.call('drop', undefined)
  const { lastInMs, attempts, refused } = await back
  const spent = ((await server.call('cpu', undefined)) - cpu) / 1_000
  // INFO itself, at the beginning, is none of theirs.
  const asked = (await redis.info('total_commands_processed')) - commands - 1
  if ((await clients.call('count', undefined)) + (retry ? 0 : refused) !== count)
    throw new Error('Some never came back.')
  await clients.end()
  await server.end()
  return { name, values: [lastInMs, spent, asked, attempts, refused] }
}
