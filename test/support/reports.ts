// what other processes hear of sessions, and how late.
import type { ChildProcess } from 'node:child_process'
import { expect } from 'vitest'

/** What a process has heard of a session, and when (ms since the epoch, with fractions). */
export interface Heard {
  readonly event: 'change' | 'end'
  readonly sessionID: string
  readonly at: number
}

/** Ms since the epoch, with fractions: comparable between processes of one machine. */
export const now = () => performance.timeOrigin + performance.now()

export type Heardings = ReadonlyMap<Heard['event'], Map<string, number>>

/** What a process hears from now on: when it was, by event and session. */
export function listenTo(process: ChildProcess): Heardings {
  const heard: Heardings = new Map([
    ['change', new Map<string, number>()],
    ['end', new Map<string, number>()],
  ])
  process.on('message', (message) => {
    const { event, sessionID, at } = message as Partial<Heard>
    if (event !== undefined && sessionID !== undefined && at !== undefined) heard.get(event)?.set(sessionID, at)
  })
  return heard
}

export async function inGroups<T>(
  items: readonly T[],
  size: number,
  each: (item: T) => Promise<unknown>,
): Promise<void> {
  for (let from = 0; from < items.length; from += size) await Promise.all(items.slice(from, from + size).map(each))
}

/** Resolves, when all processes have heard of all of these sessions, to how late that was. */
export async function latenessOf(
  due: ReadonlyMap<string, number>,
  processes: readonly Heardings[],
  event: Heard['event'],
): Promise<string> {
  const late = () =>
    processes.flatMap((heard) => [...due].map(([id, at]) => (heard.get(event)?.get(id) ?? Number.NaN) - at))
  await expect.poll(() => late().filter(Number.isNaN).length, { timeout: 20_000 }).toBe(0)
  const sorted = late().sort((one, other) => one - other)
  const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)]!.toFixed(1)
  return `p50 ${at(0.5)} p99 ${at(0.99)} ms`
}
