/*
 * What an idle socket keeps in memory.
 */
import type { Bench, Workload } from '../bench.js'
import type { ClientCalls } from '../clients.js'
import { socketsMost } from '../machine.js'
import { start } from '../process.js'
import type { Kind, ServerCalls, ServerSettings } from '../server.js'
import type { Row } from '../table.js'

interface Candidate {
  readonly name: string
  readonly kind: Kind
  readonly shared?: boolean
  readonly identify?: boolean
}

const alone: Candidate = { name: 'bridge, a session each', kind: 'bridge' }
const identified: Candidate = { name: 'bridge, a session and a user each', kind: 'bridge', identify: true }

const candidates: readonly Candidate[] = [
  { name: 'ws, no session at all', kind: 'ws' },
  { name: 'express-session middleware', kind: 'middleware' },
  alone,
  identified,
  { name: 'bridge, one session for all', kind: 'bridge', shared: true },
  { name: 'Socket.IO, engine.use(session)', kind: 'socket.io' },
]

export const memory: Workload = {
  name: 'memory',
  async run(bench) {
    const sizes = sizesOf(bench)
    const most = sizes.at(-1) ?? 0
    const found: { name: string; heaps: number[]; resident: number }[] = []
    for (const candidate of candidates) {
      bench.stage(`memory of an idle socket, ${candidate.name}`)
      found.push({ name: candidate.name, ...(await measure(bench, candidate, sizes)) })
    }
    const limit = found[0]?.heaps.at(-1) ?? NaN
    const overWs = ({ name }: Candidate): number =>
      (found.find((other) => other.name === name)?.heaps.at(-1) ?? NaN) - limit
    bench.add({
      workload: 'memory',
      title: `memory of an idle socket, in memory, up to ${most} sockets`,
      columns: [
        ...sizes.map((size) => ({ name: `heap at ${size}, bytes`, digits: 0 })),
        { name: 'over ws, bytes', digits: 0 },
        { name: 'resident, bytes', digits: 0 },
      ],
      rows: found.map(({ name, heaps, resident }): Row => ({
        name,
        values: [...heaps, (heaps.at(-1) ?? NaN) - limit, resident],
      })),
      aims: [
        { what: `${alone.name}: bytes of heap over ws`, atMost: 1_024, got: overWs(alone) },
        { what: `${identified.name}: more bytes`, atMost: 64, got: overWs(identified) - overWs(alone) },
      ],
      drawn: 'over ws, bytes',
      note: 'For one socket, after a collection of garbage. The sessions are in the store before anything is measured.',
    })
  },
}

function sizesOf(bench: Bench): number[] {
  return bench.sized([1_000, 10_000, 20_000], [500, 1_500]).map((size) => Math.min(size, socketsMost()))
}

async function measure(
  bench: Bench,
  { kind, shared = false, identify = false }: Candidate,
  sizes: readonly number[],
): Promise<{ heaps: number[]; resident: number }> {
  const settings: ServerSettings = { kind, identify, sessions: sizes.at(-1) ?? 0 }
  const server = await start<ServerCalls>('server.js', settings)
  const port = await server.call('port', undefined)
  const clients = await start<ClientCalls>('clients.js', { port, socketIO: kind === 'socket.io' })
  await server.call('refillUsers', { first: 0, count: sizes.at(-1) ?? 0 })
  // What only the first ones cost.
  await clients.call('open', { first: 0, count: Math.min(1_000, ...sizes) })
  await clients.call('close', undefined)
  const before = await server.call('memory', undefined)
  const heaps: number[] = []
  let resident = NaN
  let opened = 0
  for (const size of sizes) {
    await clients.call('open', { first: opened, count: size - opened, shared })
    opened = size
    bench.progress(`${size} open`)
    const after = await server.call('memory', undefined)
    heaps.push((after.heap - before.heap) / size)
    resident = (after.resident - before.resident) / size
  }
  if ((await clients.call('count', undefined)) !== opened) throw new Error('Sockets were lost on the way.')
  await clients.end()
  await server.end()
  return { heaps, resident }
}
