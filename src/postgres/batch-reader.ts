/*
 * Many reads as one: while one statement is under way, the next collects.
 */
import type { Row, SessionTable } from './session-table.js'

const maxIDs = 200

interface Waiter {
  readonly sessionID: string
  readonly resolve: (row: Row | undefined) => void
  readonly reject: (error: unknown) => void
}

/** A thousand handshakes, or a revalidation of thousands of sessions, take a few connections of the pool, one at a time. */
export class BatchReader {
  readonly #table: SessionTable
  #waiting: Waiter[] = []
  #isReading = false

  constructor(table: SessionTable) {
    this.#table = table
  }

  /** @throws {StoreUnavailableError} (rejects) */
  read(sessionID: string): Promise<Row | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ sessionID, resolve, reject })
      if (!this.#isReading) void this.#readAll()
    })
  }

  async #readAll(): Promise<void> {
    this.#isReading = true
    // What else is asked in this turn goes along.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, maxIDs)
      try {
        const rows = await this.#table.read([...new Set(batch.map(({ sessionID }) => sessionID))])
        for (const { sessionID, resolve } of batch) resolve(rows.get(sessionID))
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    this.#isReading = false
  }
}
