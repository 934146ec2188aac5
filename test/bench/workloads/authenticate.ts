/*
 * What the handshake costs by itself: from a request, without a socket, to the user of its session.
 */
import type { IncomingMessage } from 'node:http'

import { MemoryStore, type Store } from 'express-session'
import { redisLiveStore } from 'ws-session-bridge/redis'

import { askByHand, askMiddleware, bridgeOn, userByAsking, userByBridge, type UserOf } from '../asking.js'
import type { Bench, Workload } from '../bench.js'
import { openRedisStore } from '../redis-store.js'
import { atOnce, cpuOfEach, inTurn, ratioOf, type Compared } from '../rounds.js'
import { cookieOf, fill, user } from '../sessions.js'
import type { Aim } from '../table.js'

const sessions = 1_000

interface Candidate {
  readonly name: string
  readonly userOf: UserOf
}

export const authenticate: Workload = {
  name: 'authenticate',
  async run(bench) {
    const inMemory = await Promise.all([filled(), filled(), filled()])
    await compare(bench, 'in memory', 19_200, candidatesOf(inMemory))
    const redis = await openRedisStore(await bench.redisUrl())
    await fill(redis.store, sessions)
    const live = bridgeOn(redis.store, redisLiveStore(redis.store))
    await compare(bench, 'on Redis', 4_800, [
      ...candidatesOf([redis.store, redis.store, redis.store]),
      { name: 'bridge, redisLiveStore', userOf: userByBridge(live) },
    ])
    await live.close()
    await redis.close()
  },
}

/* Stores of their own in memory: the bridge hears the calls to its store, and the others are not to pay for it. */
function candidatesOf([first, second, third]: readonly Store[]): Candidate[] {
  return [
    { name: 'express-session middleware', userOf: userByAsking(askMiddleware(first as Store)) },
    { name: 'by hand: parse, unsign, store.get', userOf: userByAsking(askByHand(second as Store)) },
    { name: 'bridge', userOf: userByBridge(bridgeOn(third as Store)) },
  ]
}

async function filled(): Promise<Store> {
  const store = new MemoryStore()
  await fill(store, sessions)
  return store
}

async function compare(
  bench: Bench,
  where: string,
  fullCalls: number,
  candidates: readonly Candidate[],
): Promise<void> {
  const cookies = Array.from({ length: sessions }, (_, index) => cookieOf(index))
  const newRequest = (index: number): IncomingMessage => {
    const headers = { host: 'app.example.com', origin: 'https://app.example.com', cookie: cookies[index % sessions] }
    // New for every call, as it is in a server, with all that is hung on it.
    return { method: 'GET', url: '/chat', headers, socket: {}, connection: {} } as unknown as IncomingMessage
  }
  for (const lanes of [1, 64]) {
    const title = `authenticate, ${where}, ${lanes} at once`
    bench.stage(title)
    const calls = bench.sized(fullCalls, fullCalls / 4)
    const turnOf =
      ({ name, userOf }: Candidate) =>
      () =>
        cpuOfEach(calls, () =>
          atOnce(lanes, calls, async (index) => {
            if ((await userOf(newRequest(index))) !== user) throw new Error(`${name} does not find the session.`)
          }),
        )
    const found = await inTurn(
      candidates.map((candidate) => ({ name: candidate.name, turn: turnOf(candidate) })),
      {
        rounds: bench.sized(15, 5),
        warmUp: 3,
        onRound: (round) => {
          bench.progress(`round ${round}`)
        },
      },
    )
    const byHand = found[1]
    const best = found.at(-1)
    bench.add({
      workload: 'authenticate',
      title,
      columns: [
        { name: 'CPU µs', digits: 1 },
        { name: '÷ middleware', digits: 2 },
        { name: '÷ by hand', digits: 2 },
      ],
      rows: found.map(({ name, cost, ratio, costs }) => ({
        name,
        values: [cost, ratio, ratioOf(costs, byHand?.costs)],
      })),
      ...(lanes === 1 ? {} : { aims: [aimOf(where, best, byHand)] }),
      drawn: '÷ middleware',
      note: 'CPU of one call, all of the process. The bridge also checks the Origin; the others do not.',
    })
  }
}

function aimOf(where: string, best: Compared | undefined, byHand: Compared | undefined): Aim {
  if (where === 'on Redis') return { what: `${best?.name ?? ''} ÷ middleware`, atMost: 0.35, got: best?.ratio ?? NaN }
  return { what: 'bridge ÷ by hand', atMost: 1.15, got: ratioOf(best?.costs ?? [], byHand?.costs) }
}
