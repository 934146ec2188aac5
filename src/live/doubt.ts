/*
 * Why a session may be over: an own `destroy` that is not answered, an expiry that has passed, a read that has to come first.
 */

/**
 * Exists only while there is a doubt. As long as it does, no message of the session reaches a handler.
 *
 * Invariant: the doubt is over when no own `destroy` is under way and, where a read was asked for, one that began after that has
 * found the session.
 */
export class Doubt {
  #destroys = 0
  /** A read with a higher number answers the question; -1: no read is asked for. */
  #answeredAfterRead = -1

  get isOver(): boolean {
    return this.#destroys <= 0 && this.#answeredAfterRead === -1
  }

  destroyCalled(): void {
    this.#destroys += 1
  }

  destroyAnswered(): void {
    this.#destroys -= 1
  }

  /** @param readsBegun how many reads had begun: none of these can answer */
  needsRead(readsBegun: number): void {
    this.#answeredAfterRead = Math.max(this.#answeredAfterRead, readsBegun)
  }

  /** That read has found the session. */
  foundBy(read: number): void {
    if (read > this.#answeredAfterRead) this.#answeredAfterRead = -1
  }
}
