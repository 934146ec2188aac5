import { describe, expect, it, vi } from 'vitest'
import { isSoak } from '../support/soak.js'
import { SmallWorld, turn, type SmallWorldRules } from './small-world.js'

interface World {
  readonly name: string
  readonly rules: SmallWorldRules
  /** How many events are chosen in every possible order before the rest comes as it was made: in `npm test`, and in a soak. */
  readonly depth: number
  readonly soakDepth: number
}

const plain = { touchWritesBack: false, wholeSeconds: false } as const

const worlds: World[] = [
  {
    name: 'a logout, two touches and a handshake, with a slow `authorize`',
    rules: { ...plain, authorize: 'no', acts: ['handshake', 'destroy', 'touch', 'touch again'] },
    depth: 5,
    soakDepth: 7,
  },
  {
    name: 'a change and a demotion, with an `authorize` that fails for the demoted',
    rules: { ...plain, authorize: 'throws', acts: ['change', 'demote', 'handshake'] },
    depth: 5,
    soakDepth: 7,
  },
  {
    name: 'a message, a logout and an update, on a store whose `touch` writes back',
    rules: { ...plain, touchWritesBack: true, authorize: 'none', acts: ['message', 'destroy', 'update'] },
    depth: 5,
    soakDepth: 7,
  },
  {
    name: 'a demotion, an update and a logout',
    rules: { ...plain, authorize: 'no', acts: ['demote', 'update', 'destroy'] },
    depth: 5,
    soakDepth: 7,
  },
  {
    name: 'touches and expiries, on a store of whole seconds',
    rules: { ...plain, wholeSeconds: true, authorize: 'none', acts: ['touch', 'expire', 'handshake', 'touch again'] },
    depth: 5,
    soakDepth: 7,
  },
]

/**
 * Runs one order of events: `choices` says which of the possible steps is taken each time, 0 where it says nothing.
 *
 * @returns how many steps were possible each time, and what was wrong.
 */
async function run(rules: SmallWorldRules, choices: readonly number[], depth: number) {
  const world = new SmallWorld(rules)
  await world.setUp()
  const widths: number[] = []
  const labels: string[] = []
  for (let at = 0; at < depth; at += 1) {
    const { steps } = world
    if (steps.length === 0) break
    widths.push(steps.length)
    const step = steps[choices[at] ?? 0]!
    labels.push(step.label)
    step.take()
    await turn()
    world.probe()
    await turn()
  }
  await world.finish()
  return { widths, labels, wrong: world.wrong }
}

/** The next order after this one, as an odometer counts; undefined after the last one. */
function nextChoices(choices: readonly number[], widths: readonly number[]): number[] | undefined {
  const next = widths.map((_width, at) => choices[at] ?? 0)
  for (let at = next.length - 1; at >= 0; at -= 1) {
    if (next[at]! + 1 < widths[at]!) return [...next.slice(0, at), next[at]! + 1]
  }
  return undefined
}

describe('every order in which things can happen', () => {
  it.each(worlds)('keeps the promises of the bridge: $name', async ({ name, rules, depth, soakDepth }) => {
    vi.spyOn(Math, 'random').mockReturnValue(0.5)
    const most = isSoak ? soakDepth : depth
    let choices: number[] | undefined = []
    let interleavings = 0
    let states = 0
    let shared = 0
    const failures: string[] = []
    while (choices !== undefined && failures.length < 5) {
      const { widths, labels, wrong } = await run(rules, choices, most)
      interleavings += 1
      // States on the way to this order that no order before it has passed.
      states += widths.length - shared
      if (wrong.length > 0) failures.push(`${wrong[0]}: ${labels.join(', ')}`)
      choices = nextChoices(choices, widths)
      shared = choices === undefined ? 0 : choices.length - 1
    }
    console.log(`${name}: ${interleavings} interleavings, ${states} states`)
    expect(failures).toEqual([])
  })
})
