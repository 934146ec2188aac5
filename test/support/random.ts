// random numbers, the same for the same seed.

export interface Random {
  /** From 0 up to, but not including, 1. */
  share(): number
  /** A whole number from 0 up to, but not including, `limit`. */
  below(limit: number): number
  /** One of a list. */
  one<T>(list: readonly T[]): T
}

/** Mulberry32: small, and good enough to choose what happens next. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const share = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number): number => Math.floor(share() * limit)
  return { share, below, one: (list) => list[below(list.length)]! }
}
