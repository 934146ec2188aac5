/*
 * The writes of a LiveStore to a session: one at a time, each based on a read that no other write has overtaken.
 */
import type { SessionData } from 'express-session'

import { asError, StoreUnavailableError } from '../errors.js'
import { CallTimeouts } from '../internal/call-timeouts.js'
import type { PromisedStore } from './promised-store.js'
import type { SessionActivity } from './session-activity.js'
import type { StoreActivity } from './store-activity.js'

/** Writes based on what was read, called in the same turn of the event loop in which the read turned out to be current. */
export type Write<T> = (record: SessionData | null | undefined, session: SessionActivity) => Promise<T>

const tooLate = (): Error => new StoreUnavailableError('The session store did not answer in time.')

/** Exact where all writers are in this process, since it observes them all. */
export class ExclusiveWrites {
  readonly #store: PromisedStore
  readonly #activity: StoreActivity
  readonly #timeouts: CallTimeouts
  #isClosed = false

  /** @param timeoutMs how long a write may take from its call on, with all it has to wait for */
  constructor(store: PromisedStore, activity: StoreActivity, timeoutMs: number) {
    this.#store = store
    this.#activity = activity
    this.#timeouts = new CallTimeouts(timeoutMs, { tooLate, failed: asError })
  }

  /** @throws {StoreUnavailableError} (rejects) when its time has passed; nothing is written after that. */
  run<T>(sessionID: string, write: Write<T>): Promise<T> {
    const session = this.#activity.use(sessionID)
    const turn = session.turn()
    let isOver = false
    const end = (): void => {
      if (isOver) return
      isOver = true
      turn.leave()
      this.#activity.release(sessionID, session)
    }
    const assertInTime = (): void => {
      if (isOver || this.#isClosed) throw tooLate()
    }
    const work = async (): Promise<T> => {
      try {
        await turn.ready
        return await this.#readAndWrite(sessionID, session, write, assertInTime)
      } finally {
        end()
      }
    }
    return this.#timeouts.within(work, end)
  }

  /** Those under way fail now: what the store has not been asked for by then, it is not asked for any more. */
  close(): void {
    this.#isClosed = true
    this.#timeouts.close()
  }

  async #readAndWrite<T>(
    sessionID: string,
    session: SessionActivity,
    write: Write<T>,
    assertInTime: () => void,
  ): Promise<T> {
    // A touch that reads and writes back would undo the write. Waited for once: with enough requests there is always one.
    await session.touchesDone()
    for (;;) {
      await session.writesDone()
      assertInTime()
      const { writes } = session
      const record = await this.#store.get(sessionID, (found) => found)
      assertInTime()
      if (session.writes === writes) return await write(record, session)
    }
  }
}
