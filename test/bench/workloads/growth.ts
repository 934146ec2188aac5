/*
 * Whether things cost more the more sockets are open.
 */
import type { Workload } from '../bench.js'
import type { ClientCalls } from '../clients.js'
import { socketsMost } from '../machine.js'
import { start, type Process } from '../process.js'
import { atOnce, inTurn, type Compared } from '../rounds.js'
import type { ServerCalls, ServerSettings } from '../server.js'
import { open } from '../socket.js'

/** How many sessions are changed or logged out in a round. */
const count = 200

interface Node {
  readonly size: number
  readonly port: number
  readonly server: Process<ServerCalls>
  readonly clients: Process<ClientCalls>
}

export const growth: Workload = {
  name: 'growth',
  async run(bench) {
    const sizes = bench
      .sized([1_000, 5_000, 20_000], [500, 2_000])
      .map((size) => Math.min(size, socketsMost() - 4 * count))
    bench.stage(`growth, opening ${sizes.join(', ')} sockets`)
    const nodes = await Promise.all(sizes.map(startNode))
    const compare = async (what: string, cost: (node: Node) => Promise<number>): Promise<Compared[]> => {
      bench.stage(`growth, ${what}`)
      const candidates = nodes.map((node) => ({ name: `${what}, ${node.size} open`, turn: () => cost(node) }))
      return await inTurn(candidates, {
        rounds: bench.sized(11, 5),
        warmUp: 3,
        onRound: (round) => {
          bench.progress(`round ${round}`)
        },
      })
    }
    const found = [
      await compare('handshake', handshakes),
      await compare('change', changes),
      await compare('logout', logouts),
    ]
    await Promise.all(nodes.flatMap(({ server, clients }) => [server.end(), clients.end()]))
    bench.add({
      workload: 'growth',
      title: 'growth: the cost of one, the more sockets are open, in memory',
      columns: [
        { name: 'server CPU µs', digits: 1 },
        { name: '÷ first', digits: 2 },
      ],
      rows: found.flat().map(({ name, cost, ratio }) => ({ name, values: [cost, ratio] })),
      aims: found.map((compared) => ({
        what: `${compared.at(-1)?.name ?? ''} ÷ ${compared[0]?.name ?? ''}`,
        atMost: 1.2,
        got: compared.at(-1)?.ratio ?? NaN,
      })),
      drawn: '÷ first',
    })
  },
}

async function startNode(size: number): Promise<Node> {
  const settings: ServerSettings = { kind: 'bridge', sessions: size + count }
  const server = await start<ServerCalls>('server.js', settings)
  const port = await server.call('port', undefined)
  const clients = await start<ClientCalls>('clients.js', { port })
  await clients.call('open', { first: 0, count: size })
  return { size, port, server, clients }
}

/* Of sessions that have no other socket. */
async function handshakes({ server, port, size }: Node): Promise<number> {
  const before = await server.call('cpu', undefined)
  const sockets: Awaited<ReturnType<typeof open>>[] = []
  await atOnce(32, count, async (index) => sockets.push(await open({ port, index: size + index })))
  const cost = ((await server.call('cpu', undefined)) - before) / count
  for (const socket of sockets) socket.destroy()
  return cost
}

async function changes({ server }: Node): Promise<number> {
  return (await server.call('change', { first: 0, count })) / count
}

/* Logged in again, and opened again, for the next round. */
async function logouts({ server, clients }: Node): Promise<number> {
  const cost = (await server.call('logout', { first: 0, count })) / count
  await server.call('refill', { first: 0, count })
  await clients.call('open', { first: 0, count })
  return cost
}
