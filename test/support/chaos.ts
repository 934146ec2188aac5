// acts by chance, many at once, while something else makes trouble.
import { setTimeout as pause } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Random } from './random.js'

export interface Chaos {
  readonly random: Random
  readonly forMs: number
  /** Each is done as often as its weight says. One that fails has failed. */
  readonly acts: readonly (readonly [weight: number, act: () => Promise<unknown>])[]
  /** Is made every second or so. What it throws, the chaos ends with. */
  trouble(round: number): Promise<unknown>
  /** For so long at the end there is no new trouble: sessions and sockets come again. */
  readonly quietMs: number
}

/** Resolves when all that was begun is done. */
export async function chaos({ random, forMs, acts, trouble, quietMs }: Chaos): Promise<void> {
  const weights = acts.reduce((sum, [weight]) => sum + weight, 0)
  const act = () => {
    let left = random.share() * weights
    return acts.find(([weight]) => (left -= weight) < 0)![1]()
  }
  const until = performance.now() + forMs
  const troubled = (async () => {
    for (let round = 1; performance.now() < until - quietMs; round += 1) {
      await pause(500 + random.below(1_500))
      await trouble(round)
    }
  })()
  const underWay = new Set<Promise<unknown>>()
  while (performance.now() < until) {
    const acting = act().catch(() => undefined)
    underWay.add(acting)
    void acting.then(() => underWay.delete(acting))
    await pause(random.below(20))
  }
  await troubled
  await Promise.all(underWay)
}

/** Connects to each of these. Chance may have left one without a socket, and then nothing would be shown of it. */
export async function connectToEach<N>(nodes: readonly N[], connect: (node: N) => Promise<unknown>): Promise<void> {
  for (const node of nodes) {
    const isIn = () =>
      connect(node).then(
        () => true,
        () => false,
      )
    await expect.poll(isIn, { timeout: 10_000 }).toBe(true)
  }
}
