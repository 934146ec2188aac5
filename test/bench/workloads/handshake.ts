/*
 * Whole handshakes over TCP, from the connection until the socket is closed again.
 */
import type { Bench, Workload } from '../bench.js'
import { handshakes, type Target } from '../handshakes.js'
import { start } from '../process.js'
import { openRedisStore } from '../redis-store.js'
import { inTurn, ratioOf, type Compared } from '../rounds.js'
import type { ServerCalls, ServerSettings } from '../server.js'
import { fill } from '../sessions.js'
import type { Aim } from '../table.js'

const sessions = 1_000

interface Candidate {
  readonly name: string
  readonly settings: Omit<ServerSettings, 'sessions' | 'redis'>
  readonly live?: boolean
}

const limit: Candidate = { name: 'ws, no session at all (the limit)', settings: { kind: 'ws' } }
const byHand: Candidate = { name: 'by hand: parse, unsign, store.get', settings: { kind: 'by-hand' } }
const middleware: Candidate = { name: 'express-session middleware', settings: { kind: 'middleware' } }
const bridge: Candidate = { name: 'bridge', settings: { kind: 'bridge' } }
const rolling: Candidate = {
  name: 'bridge, rolling: touch and Set-Cookie',
  settings: { kind: 'bridge', rolling: true },
}
const socketIO: Candidate = { name: 'Socket.IO, engine.use(session)', settings: { kind: 'socket.io' } }

const inMemory: readonly Candidate[] = [
  limit,
  byHand,
  middleware,
  bridge,
  { name: "bridge, keepAlive: 'never'", settings: { kind: 'bridge', bridge: { keepAlive: 'never' } } },
  rolling,
  socketIO,
]

const onRedis: readonly Candidate[] = [
  limit,
  byHand,
  middleware,
  bridge,
  { name: 'bridge, redisLiveStore', settings: { kind: 'bridge' }, live: true },
  socketIO,
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
  const targets = await Promise.all(
    candidates.map(({ settings, live = false }) =>
      startServer({ ...settings, sessions, redis: redis && { ...redis, live } }),
    ),
  )
  // A server that has just been started runs code that is not compiled yet.
  for (const target of targets) await handshakes(target, 4_000)
  const count = bench.sized(400, 300)
  const found = await inTurn(
    candidates.map(({ name }, index) => ({ name, turn: () => handshakes(targets[index] as Target, count) })),
    {
      rounds: bench.sized(21, 9),
      warmUp: bench.sized(3, 2),
      onRound: (round) => {
        bench.progress(`round ${round}`)
      },
    },
  )
  await Promise.all(targets.map(({ server }) => server.end()))
  const beside = found.find(({ name }) => name === middleware.name)
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
      values: [cost, ratio, ratioOf(costs, beside?.costs)],
    })),
    ...(redis === undefined ? { aims: aimsOf(found, beside) } : {}),
    drawn: '÷ ws',
    note: 'CPU of the server for one, from the TCP connection until the socket is closed again, 32 clients at once.',
  })
}

function aimsOf(found: readonly Compared[], beside: Compared | undefined): Aim[] {
  const ours = found.find(({ name }) => name === bridge.name)
  return [
    { what: 'bridge ÷ middleware', atMost: 1, got: ratioOf(ours?.costs ?? [], beside?.costs) },
    { what: 'bridge ÷ ws', atMost: 1.5, got: ours?.ratio ?? NaN },
    { what: 'bridge with rolling ÷ ws', atMost: 2, got: found.find(({ name }) => name === rolling.name)?.ratio ?? NaN },
  ]
}

async function startServer(settings: ServerSettings): Promise<Target> {
  const server = await start<ServerCalls>('server.js', settings)
  const port = await server.call('port', undefined)
  return { server, port, sessions, socketIO: settings.kind === 'socket.io' }
}
