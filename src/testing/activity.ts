/*
 * What a bridge waits for: its store, `authorize`, sockets that are to close.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'

/** An answer and what follows from it come in one turn of the event loop, sockets in slices of a turn each. */
const quietTurns = 2

/** Waits under way. */
export class Activity {
  #underWay = 0
  #onIdle: (() => void)[] = []

  /**
   * Something is waited for from now on. Returns what ends it; harmless a second time.
   *
   * @param mostMs how long it counts at most; without it, until it is ended
   */
  begin(mostMs?: number): () => void {
    this.#underWay += 1
    let isOver = false
    const timer = mostMs === undefined ? undefined : setTimeout(() => end(), mostMs)
    const end = (): void => {
      clearTimeout(timer)
      if (isOver) return
      isOver = true
      this.#underWay -= 1
      if (this.#underWay === 0) for (const resolve of this.#onIdle.splice(0)) resolve()
    }
    return end
  }

  /** Resolves when nothing is under way, and nothing that followed from it. */
  async settled(): Promise<void> {
    for (let quiet = 0; quiet < quietTurns; quiet += 1) {
      await nextTurn()
      if (this.#underWay === 0) continue
      await new Promise<void>((resolve) => this.#onIdle.push(resolve))
      quiet = -1
    }
  }
}

/** Nothing else of a test bridge keeps the process alive, which would end before what it waits for. */
export async function awake<T>(work: Promise<T>): Promise<T> {
  const timer = setInterval(() => undefined, 60_000)
  try {
    return await work
  } finally {
    clearInterval(timer)
  }
}
