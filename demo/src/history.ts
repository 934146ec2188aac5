/*
 * What happened in the last minute, second by second, for the monitor's charts.
 */
import type { SessionBridgeStats } from 'ws-session-bridge'

import type { Sample } from './messages.js'
import type { Nodes } from './nodes.js'

const everyMs = 1_000
const mostSamples = 60

const nothingYet = { accepted: 0, refused: {}, ended: {} }

/** Takes a sample a second. */
export class History {
  readonly #nodes: Nodes
  readonly #timer: NodeJS.Timeout
  /** A node that was started again counts from 0: it is another one. */
  readonly #counted = new Map<string, SessionBridgeStats>()
  readonly #samples: Sample[] = []

  constructor(nodes: Nodes) {
    this.#nodes = nodes
    this.#timer = setInterval(() => {
      this.#take()
    }, everyMs).unref()
  }

  /** Those that are newer than a time. */
  since(time: number): Sample[] {
    return this.#samples.filter(({ at }) => at > time)
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #take(): void {
    const sample = { at: Date.now(), accepted: 0, refused: {}, ended: {}, pending: 0 }
    for (const { node, startedAt, stats } of this.#nodes.known()) {
      const key = `${node} ${startedAt}`
      // What a node that has just started says first has all happened in this minute; another's may be from days ago.
      const isYoung = sample.at - startedAt < mostSamples * everyMs
      const before = this.#counted.get(key) ?? (isYoung ? nothingYet : stats)
      this.#counted.set(key, stats)
      sample.accepted += stats.accepted - before.accepted
      sample.pending += stats.pending
      addGrowth(sample.refused, before.refused, stats.refused)
      addGrowth(sample.ended, before.ended, stats.ended)
    }
    this.#samples.push(sample)
    if (this.#samples.length > mostSamples) this.#samples.shift()
  }
}

function addGrowth(to: Record<string, number>, before: Record<string, number>, now: Record<string, number>): void {
  for (const [reason, count] of Object.entries(now)) {
    const growth = count - (before[reason] ?? 0)
    if (growth > 0) to[reason] = (to[reason] ?? 0) + growth
  }
}
