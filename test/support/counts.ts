// "N passed, N failed, N skipped", for people and for machines that count.
import { appendFileSync } from 'node:fs'

export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

/** Prints the line; where a file of counts is named, it goes there instead, and `.ci/run` adds them all up at its end. */
export function tellCounts({ passed, failed, skipped }: Counts): void {
  const line = `${passed} passed, ${failed} failed, ${skipped} skipped`
  const { COUNTS_FILE } = process.env
  if (COUNTS_FILE === undefined) console.log(line)
  else appendFileSync(COUNTS_FILE, `${line}\n`)
}
