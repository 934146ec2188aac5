// the text with a few bytes changed, cut or added, the same for the same seed.
import type { Random } from '../support/random.js'

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
  if (kind === 0) return random.one(telling)
  // Most of all bytes end a request at the parser; what is printable gets further.
  const [from, limit] = kind === 1 ? [0, 256] : [0x20, 0x7f]
  return Array.from({ length }, () => String.fromCharCode(from + random.below(limit - from))).join('')
}
