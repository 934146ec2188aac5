// In: a text and a seed. Out: the text with a few bytes changed, cut or added, the same for the same seed.

export interface Random {
  /** A whole number from 0 up to, but not including, `limit`. */
  below(limit: number): number
}

/** Mulberry32: small, and good enough to choose bytes. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  return {
    below(limit) {
      state = (state + 0x6d2b79f5) >>> 0
      let mixed = Math.imul(state ^ (state >>> 15), state | 1)
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
      return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
    },
  }
}

/** Bytes that mean something to a parser of requests, and so go further than any byte would. */
const telling = ['\r', '\n', '\r\n', '\r\n\r\n', ' ', '\t', ':', ',', ';', '=', '"', '%', '/', '\0', '\x7f', '\xff']

/** One change or two at random places. */
export function mutate(text: string, random: Random): string {
  let mutated = text
  for (let changes = 1 + random.below(2); changes > 0; changes -= 1) {
    const at = random.below(mutated.length + 1)
    const length = random.below(4) === 0 ? random.below(40) : 1
    const what = random.below(10)
    if (what < 4) mutated = mutated.slice(0, at) + bytes(random, length) + mutated.slice(at + length)
    else if (what < 6) mutated = mutated.slice(0, at) + mutated.slice(at + length)
    else if (what < 9) mutated = mutated.slice(0, at) + bytes(random, length) + mutated.slice(at)
    else mutated = mutated.slice(0, at)
  }
  return mutated
}

function bytes(random: Random, length: number): string {
  const kind = random.below(4)
  if (kind === 0) return telling[random.below(telling.length)]!
  // Most of all bytes end a request at the parser; what is printable gets further.
  const [from, limit] = kind === 1 ? [0, 256] : [0x20, 0x7f]
  return Array.from({ length }, () => String.fromCharCode(from + random.below(limit - from))).join('')
}
