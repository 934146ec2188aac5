/*
 * Rounds in turn: within each, every candidate has its turn, so that whatever else the machine does meets all of them.
 */

import { setTimeout as pause } from 'node:timers/promises'

/** What one turn of a candidate cost. */
export type Turn = () => Promise<number>

/** What a candidate cost, and beside the first one. */
export interface Compared {
  readonly name: string
  readonly cost: number
  /** To the first one. */
  readonly ratio: number
  readonly costs: readonly number[]
}

/** @param onRound called before each round with its number, from 1 on */
export async function inTurn(
  candidates: readonly { readonly name: string; readonly turn: Turn }[],
  { rounds, warmUp = 1, onRound }: { rounds: number; warmUp?: number; onRound?: (round: number) => void },
): Promise<Compared[]> {
  const costs = candidates.map((): number[] => [])
  for (let round = 1; round <= rounds + warmUp; round += 1) {
    onRound?.(round)
    for (const [index, { turn }] of candidates.entries()) {
      const cost = await turn()
      if (round > warmUp) costs[index]?.push(cost)
    }
  }
  return candidates.map(({ name }, index) => {
    const own = costs[index] ?? []
    return { name, cost: median(own), ratio: ratioOf(own, costs[0]), costs: own }
  })
}

/** The median of the ratios within each round. */
export function ratioOf(costs: readonly number[], others: readonly number[] = []): number {
  return median(costs.map((cost, round) => cost / (others[round] ?? NaN)))
}

/* There with --expose-gc, as the command starts it. */
const collect = globalThis.gc as ((options: { type: 'minor' }) => void) | undefined

/** CPU of this process for one of so many, in µs. */
export async function cpuOfEach(count: number, work: () => Promise<unknown>): Promise<number> {
  // What the candidate before left behind is not to be this one's work; a full collection would throw compiled code away.
  collect?.({ type: 'minor' })
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / count
}

/** Does a thing so often, so many at once. */
export async function atOnce(
  lanes: number,
  count: number,
  each: (index: number) => Promise<unknown> | undefined,
): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < count) await each(next++)
  }
  await Promise.all(Array.from({ length: Math.min(lanes, count) }, lane))
}

/** Starts a thing so often in a second, evenly, `count` in all; resolves when the last is done. */
export async function pace(perSecond: number, count: number, each: (index: number) => Promise<unknown>): Promise<void> {
  const begun = performance.now()
  const running: Promise<unknown>[] = []
  while (running.length < count) {
    const due = Math.min(Math.floor(((performance.now() - begun) / 1_000) * perSecond), count)
    while (running.length < due) running.push(each(running.length))
    await pause(5)
  }
  await Promise.all(running)
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(Math.floor(sorted.length * part), sorted.length - 1)] ?? NaN
}
