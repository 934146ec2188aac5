/*
 * The three small protocols that each session keeps: how fresh a read is, in which order reads count, one check at a time.
 *
 * They are base classes of LiveSession and not members of it, because an object each would be 40 bytes for each session.
 */

/**
 * Freshness: whether what was read is still all that is known.
 *
 * Invariant: `version` grows with everything that is heard of the session and that a read begun before may not have seen. A read
 * is current only if the version is the same before and after it. `removedAtVersion` is at most `version`.
 */
export class SessionVersion {
  #version = 0
  /** 0: never. */
  #removedAtVersion = 0

  get version(): number {
    return this.#version
  }

  /** Something was heard: a caller that has read before reads again. */
  outdate(): void {
    this.#version += 1
  }

  /** The session was found to be gone: a handshake that has read before is refused. */
  outdateByRemoval(): void {
    this.#version += 1
    this.#removedAtVersion = this.#version
  }

  wasRemovedSince(version: number): boolean {
    return this.#removedAtVersion > version
  }
}

/**
 * Read ordering: answers come in any order.
 *
 * Invariant: reads are numbered as they begin, and an answer is applied only if no read that began later has been applied.
 */
export class SessionReads extends SessionVersion {
  #begun = 0
  #applied = 0

  /** How many have begun. */
  get readsBegun(): number {
    return this.#begun
  }

  /** @returns the number of the read that begins now. */
  beginRead(): number {
    this.#begun += 1
    return this.#begun
  }

  /** Whether a read has been applied that began after so many others. */
  hasReadSince(readsBegun: number): boolean {
    return this.#applied > readsBegun
  }

  /** False: something newer has been applied, and this answer says nothing new. */
  applyRead(read: number): boolean {
    if (read < this.#applied) return false
    this.#applied = read
    return true
  }
}

/**
 * One check at a time, and one more if another is requested meanwhile: its reason may have come after the read.
 *
 * Invariant: `asked-again` only while a check is running, so no request is lost and no two checks run at once.
 */
export class SessionChecks extends SessionReads {
  #check: 'idle' | 'running' | 'asked-again' = 'idle'

  get isChecking(): boolean {
    return this.#check !== 'idle'
  }

  /** True: the caller begins the check. False: one is running, and will be run once more. */
  requestCheck(): boolean {
    const isIdle = this.#check === 'idle'
    this.#check = isIdle ? 'running' : 'asked-again'
    return isIdle
  }

  /** True: another check was requested meanwhile, and the check goes on. */
  finishCheck(): boolean {
    const isAskedAgain = this.#check === 'asked-again'
    this.#check = isAskedAgain ? 'running' : 'idle'
    return isAskedAgain
  }

  /** The session has no connections any longer. */
  abandonCheck(): void {
    this.#check = 'idle'
  }
}
