/*
 * Whether a message has been heard before.
 */

/** How far the clocks of two processes may differ, and how long a message may be on its way, in ms. */
export const windowMs = 60_000

/** How many messages may overtake one on a Cluster. */
const remembered = 1_024

/** Those of one sender: the highest number, and those right below it that were heard. */
interface Heard {
  highest: number
  readonly recent: Set<number>
  heardAt: number
}

/** An old message is told by its date, and one that comes twice by its number, so that little has to be remembered of a sender. */
export class ReplayWindow {
  readonly #senders = new Map<string, Heard>()
  #forgottenAt = 0

  /** @param now in ms since the epoch */
  accept({ node, sequence, at }: { node: string; sequence: number; at: number }, now: number): 'new' | 'old' | 'again' {
    if (Math.abs(now - at) > windowMs) return 'old'
    this.#forgetSilent(now)
    const heard = this.#senders.get(node) ?? { highest: 0, recent: new Set(), heardAt: now }
    this.#senders.set(node, heard)
    if (sequence <= heard.highest - remembered || heard.recent.has(sequence)) return 'again'
    heard.recent.add(sequence)
    heard.heardAt = now
    if (sequence > heard.highest) heard.highest = sequence
    if (heard.recent.size > 2 * remembered) {
      for (const number of heard.recent) if (number <= heard.highest - remembered) heard.recent.delete(number)
    }
    return 'new'
  }

  /* What they sent is too old by then. */
  #forgetSilent(now: number): void {
    if (now - this.#forgottenAt < windowMs) return
    this.#forgottenAt = now
    for (const [node, { heardAt }] of this.#senders) if (now - heardAt > 3 * windowMs) this.#senders.delete(node)
  }
}
