// The rows of the matrix: what was tried, on what, what came of it and how long it took.
import { tellCounts } from '../support/counts.js'

export interface Row {
  readonly what: string
  readonly on: string
  readonly outcome: string
  readonly seconds: number
  readonly failure?: unknown
}

const rows: Row[] = []

/** Does the work of a row, and tells it. Never rejects: a failure is a row, too. */
export async function row(what: string, on: string, work: () => Promise<string>): Promise<void> {
  const begun = performance.now()
  const secondsSince = () => Math.round((performance.now() - begun) / 1000)
  try {
    tell({ what, on, outcome: await work(), seconds: secondsSince() })
  } catch (failure) {
    tell({ what, on, outcome: 'FAILED', seconds: secondsSince(), failure })
  }
}

/** Does works that do not depend on each other, two at a time: each keeps one core busy. The longest come first. */
export async function inPairs(works: readonly (() => Promise<void>)[]): Promise<void> {
  const waiting = [...works]
  const worker = async () => {
    for (let work = waiting.shift(); work !== undefined; work = waiting.shift()) await work()
  }
  await Promise.all([worker(), worker()])
}

function tell(one: Row): void {
  rows.push(one)
  console.log(`${one.what}, ${one.on}: ${one.outcome} (${one.seconds} s)`)
}

/** Prints the table, the failures and the count: who sees the end alone sees what failed. */
export function tellTable(): void {
  const failed = rows.filter(({ failure }) => failure !== undefined)
  console.log(`\n${table()}\n`)
  for (const { what, on, failure } of failed) {
    console.log(`${what}, ${on}:`)
    // Not plain lines: what a run inside says of its own count is not the count of this one.
    for (const line of String(failure).split('\n').slice(-60)) console.log(`  | ${line}`)
  }
  if (failed.length > 0) process.exitCode = 1
  tellCounts({ passed: rows.length - failed.length, failed: failed.length, skipped: 0 })
}

function table(): string {
  const lines = rows.map(({ what, on, outcome, seconds }) => [what, on, outcome, `${seconds} s`])
  const widths = [0, 1, 2].map((column) => Math.max(...lines.map((line) => line[column]!.length)))
  return lines
    .map((line) => `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`)
    .join('\n')
}
