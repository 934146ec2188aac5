/*
 * What it costs a handler to know its session at every message.
 */
import { once } from 'node:events'
import type { Socket } from 'node:net'

import type { Bench, Workload } from '../bench.js'
import { start, type Process } from '../process.js'
import { openRedisStore } from '../redis-store.js'
import { inTurn } from '../rounds.js'
import type { ServerCalls, ServerSettings } from '../server.js'
import { fill } from '../sessions.js'
import { frameOf, open } from '../socket.js'

const sockets = 32

export const reading: Workload = {
  name: 'reading',
  async run(bench) {
    const title = 'reading the session at every message'
    bench.stage(title)
    const url = await bench.redisUrl()
    const { store, prefix, close } = await openRedisStore(url)
    await fill(store, sockets)
    const redis = { url, prefix, live: true }
    const candidates: [name: string, settings: Omit<ServerSettings, 'sessions'>][] = [
      ['ws, no session at all', { kind: 'ws' }],
      ['bridge, context.session', { kind: 'bridge', reading: 'session', bridge: { keepAlive: 'never' } }],
      ['session.reload(), in memory', { kind: 'middleware', reading: 'reload' }],
      ['bridge, context.session, on Redis', { kind: 'bridge', reading: 'session', redis }],
      ['session.reload(), on Redis', { kind: 'middleware', reading: 'reload', redis: { ...redis, live: false } }],
    ]
    const started = await Promise.all(candidates.map(([name, settings]) => startOne(bench, name, settings)))
    const found = await inTurn(started, {
      rounds: bench.sized(15, 5),
      warmUp: 2,
      onRound: (round) => {
        bench.progress(`round ${round}`)
      },
    })
    await Promise.all(started.map(({ server }) => server.end()))
    await close()
    bench.add({
      workload: 'reading',
      title,
      columns: [
        { name: 'server CPU µs', digits: 1 },
        { name: '÷ ws', digits: 2 },
      ],
      rows: found.map(({ name, cost, ratio }) => ({ name, values: [cost, ratio] })),
      drawn: '÷ ws',
      note: `CPU of the server for a message and its answer, ${sockets} sockets at once, one message at a time each.`,
    })
  },
}

async function startOne(bench: Bench, name: string, settings: Omit<ServerSettings, 'sessions'>) {
  const server = await start<ServerCalls>('server.js', { ...settings, sessions: sockets } satisfies ServerSettings)
  const port = await server.call('port', undefined)
  const clients = await Promise.all(Array.from({ length: sockets }, (_, index) => open({ port, index })))
  return { name, server, turn: () => messages(server, clients, bench.sized(100, 40)) }
}

async function messages(server: Process<ServerCalls>, clients: readonly Socket[], each: number): Promise<number> {
  const message = frameOf('hello')
  const before = await server.call('cpu', undefined)
  await Promise.all(
    clients.map(async (client) => {
      for (let sent = 0; sent < each; sent += 1) {
        client.write(message)
        // The answer: one small frame, one piece.
        await once(client, 'data')
      }
    }),
  )
  return ((await server.call('cpu', undefined)) - before) / (clients.length * each)
}
