// how many it is in this run, and the seed that repeats it.
import { randomInt } from 'node:crypto'

/** `npm run test:soak`: the same tests, for minutes instead of seconds. */
export const isSoak = process.env.SOAK === '1'

/** How many it is in this run. */
export function scaled(slice: number, soak: number): number {
  return isSoak ? soak : slice
}

/** The seed of this run, told so that it can be repeated: by its own variable, or by SEED, which is for all of them. */
export function seedOf(variable: string): number {
  const seed = Number(process.env[variable] ?? process.env.SEED ?? randomInt(2 ** 31))
  console.log(`${variable}=${seed}`)
  return seed
}
