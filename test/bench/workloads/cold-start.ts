/*
 * The first handshakes of a new process, most of whose code is not compiled yet.
 */
import type { Bench, Workload } from '../bench.js'
import { handshakes } from '../handshakes.js'
import { start } from '../process.js'
import { inTurn } from '../rounds.js'
import type { Kind, ServerCalls, ServerSettings } from '../server.js'

const sessions = 1_000
const count = 1_500

const candidates: readonly { readonly name: string; readonly kind: Kind }[] = [
  { name: 'ws, no session at all (the limit)', kind: 'ws' },
  { name: 'by hand: parse, unsign, store.get', kind: 'by-hand' },
  { name: 'express-session middleware', kind: 'middleware' },
  { name: 'bridge', kind: 'bridge' },
]

export const coldStart: Workload = {
  name: 'cold-start',
  async run(bench) {
    const title = `the first ${count} handshakes of a new process, in memory`
    bench.stage(title)
    const found = await inTurn(
      candidates.map(({ name, kind }) => ({ name, turn: () => firstOf(kind) })),
      { rounds: bench.sized(11, 5), warmUp: 0, onRound: progressOf(bench) },
    )
    const ratioOf = (kind: Kind) => found[candidates.findIndex((candidate) => candidate.kind === kind)]?.ratio ?? NaN
    bench.add({
      workload: 'cold-start',
      title,
      columns: [
        { name: 'server CPU µs', digits: 0 },
        { name: '÷ ws', digits: 2 },
      ],
      rows: found.map(({ name, cost, ratio }) => ({ name, values: [cost, ratio] })),
      aims: [
        {
          what: 'bridge ÷ ws, at most what the middleware takes',
          atMost: ratioOf('middleware'),
          got: ratioOf('bridge'),
        },
      ],
      drawn: '÷ ws',
      note: 'CPU of the server for one, from the TCP connection until the socket is closed again. A new process for each round.',
    })
  },
}

async function firstOf(kind: Kind): Promise<number> {
  const server = await start<ServerCalls>('server.js', { kind, sessions } satisfies ServerSettings)
  const port = await server.call('port', undefined)
  const cost = await handshakes({ server, port, sessions }, count)
  await server.end()
  return cost
}

function progressOf(bench: Bench): (round: number) => void {
  return (round) => {
    bench.progress(`round ${round}`)
  }
}
