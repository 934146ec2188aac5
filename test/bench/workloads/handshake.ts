/*
 * Whole handshakes over TCP, from the connection to the open socket.
 */
import type { Bench, Workload } from '../bench.js'
import { start, type Process } from '../process.js'
import { openRedisStore } from '../redis-store.js'
import { atOnce, inTurn, ratioOf } from '../rounds.js'
import type { ServerCalls, ServerSettings } from '../server.js'
import { fill } from '../sessions.js'
import { open } from '../socket.js'
import type { Aim } from '../table.js'

const sessions = 1_000

interface Candidate {
  readonly name: string
  readonly settings: Omit<ServerSettings, 'sessions' | 'redis'>
  readonly live?: boolean
}

const limit: Candidate = { name: 'ws, no session at all (the limit)', settings: { kind: 'ws' } }
const bridge: Candidate = { name: 'bridge', settings: { kind: 'bridge' } }

const inMemory: readonly Candidate[] = [
  limit,
  { name: 'by hand: parse, unsign, store.get', settings: { kind: 'by-hand' } },
  { name: 'express-session middleware', settings: { kind: 'middleware' } },
  bridge,
  { name: "bridge, keepAlive: 'never'", settings: { kind: 'bridge', bridge: { keepAlive: 'never' } } },
  { name: 'bridge, rolling: touch and Set-Cookie', settings: { kind: 'bridge', rolling: true } },
  { name: 'Socket.IO, engine.use(session)', settings: { kind: 'socket.io' } },
]

const onRedis: readonly Candidate[] = [
  limit,
  { name: 'by hand: parse, unsign, store.get', settings: { kind: 'by-hand' } },
  { name: 'express-session middleware', settings: { kind: 'middleware' } },
  bridge,
  { name: 'bridge, redisLiveStore', settings: { kind: 'bridge' }, live: true },
  { name: 'Socket.IO, engine.use(session)', settings: { kind: 'socket.io' } },
]

export const handshake: Workload = {
  name: 'handshake',
  async run(bench) {
    await compare(bench, 'in memory', inMemory)
    const redis = await openRedisStore(await bench.redisUrl())
    await fill(redis.store, sessions)
    await compare(bench, 'on Redis', onRedis, { url: await bench.redisUrl(), prefix: redis.prefix })
    await redis.close()
  },
}

async function compare(
  bench: Bench,
  where: string,
  candidates: readonly Candidate[],
  redis?: { readonly url: string; readonly prefix: string },
): Promise<void> {
  const title = `handshakes over TCP, ${where}`
  bench.stage(title)
  const servers = await Promise.all(
    candidates.map(({ settings, live = false }) =>
      start<ServerCalls>('server.js', {
        ...settings,
        sessions,
        redis: redis && { ...redis, live },
      } satisfies ServerSettings),
    ),
  )
  const turns = await Promise.all(
    candidates.map(async ({ name, settings: { kind } }, index) => {
      const server = servers[index] as Process<ServerCalls>
      const port = await server.call('port', undefined)
      // A server that has just been started runs code that is not compiled yet.
      await handshakes(server, port, bench.sized(3_000, 600), kind === 'socket.io')
      return { name, turn: () => handshakes(server, port, bench.sized(400, 150), kind === 'socket.io') }
    }),
  )
  const found = await inTurn(turns, {
    rounds: bench.sized(13, 5),
    warmUp: bench.sized(3, 2),
    onRound: (round) => {
      bench.progress(`round ${round}`)
    },
  })
  await Promise.all(servers.map((server) => server.end()))
  const middleware = found.find(({ name }) => name.includes('middleware'))
  const ours = found.find(({ name }) => name === 'bridge')
  const aims: Aim[] = [{ what: 'bridge ÷ ws', atMost: 1.25, got: ours?.ratio ?? NaN }]
  bench.add({
    workload: 'handshake',
    title,
    columns: [
      { name: 'server CPU µs', digits: 0 },
      { name: '÷ ws', digits: 2 },
      { name: '÷ middleware', digits: 2 },
    ],
    rows: found.map(({ name, cost, ratio, costs }) => ({
      name,
      values: [cost, ratio, ratioOf(costs, middleware?.costs)],
    })),
    ...(redis === undefined ? { aims } : {}),
    drawn: '÷ ws',
    note: 'CPU of the server from the TCP connection to the open socket, 32 clients at once. Closing is not counted.',
  })
}

/* Resolves to the server's CPU for one. They stay open until it has been asked. */
async function handshakes(
  server: Process<ServerCalls>,
  port: number,
  count: number,
  socketIO: boolean,
): Promise<number> {
  const before = await server.call('cpu', undefined)
  const sockets: Awaited<ReturnType<typeof open>>[] = []
  await atOnce(32, count, async (index) => sockets.push(await open({ port, index: index % sessions, socketIO })))
  const cost = ((await server.call('cpu', undefined)) - before) / count
  await Promise.all(
    sockets.map(
      (socket) =>
        new Promise((resolve) => {
          socket.once('close', resolve).destroy()
        }),
    ),
  )
  return cost
}
