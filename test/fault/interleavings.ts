// tries every order of a number of events in a small world.
import { SmallWorld, turn, type SmallWorldRules, type Step } from './small-world.js'

/** What a search has seen. */
export interface Search {
  readonly interleavings: number
  /** States on the way, each counted once. */
  readonly states: number
  /** What was wrong, and in which order it came to that. */
  readonly failures: readonly string[]
}

/**
 * Chooses the first `depth` events in every possible order; what is left then comes as it was made.
 *
 * @param mostFailures after so many, the search ends
 */
export async function tryInterleavings(rules: SmallWorldRules, depth: number, mostFailures = 5): Promise<Search> {
  let choices: number[] | undefined = []
  let interleavings = 0
  let states = 0
  let shared = 0
  const failures: string[] = []
  while (choices !== undefined && failures.length < mostFailures) {
    const { widths, labels, wrong } = await run(rules, choices, depth)
    interleavings += 1
    // States on the way to this order that no order before it has passed.
    states += widths.length - shared
    if (wrong[0] !== undefined) failures.push(`${wrong[0]}: ${labels.join(', ')}`)
    choices = nextChoices(choices, widths)
    shared = choices === undefined ? 0 : choices.length - 1
  }
  return { interleavings, states, failures }
}

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
  let before: Step | undefined
  let skipped: readonly Step[] = []
  for (let at = 0; at < depth; at += 1) {
    const { steps } = world
    const tried = rules.atOnce === undefined ? steps.filter((step) => !isSameAsSwapped(before, step, skipped)) : steps
    const step = tried[choices[at] ?? 0]
    if (step === undefined) break
    widths.push(tried.length)
    labels.push(step.label)
    step.take()
    before = step
    skipped = steps
    await turn()
    world.probe()
    await turn()
  }
  await world.finish()
  return { widths, labels, wrong: world.wrong }
}

/*
 * The bridge does not see what the store does before it is answered. So an effect that comes right after an answer, and could have come
 * right before it, leads to the same state: that order is tried anyway. (Not so where calls take effect at once: an answer may
 * lead to one.)
 */
function isSameAsSwapped(before: Step | undefined, step: Step, possibleBefore: readonly Step[]): boolean {
  if (before?.kind !== 'answer' || step.kind !== 'effect') return false
  return possibleBefore.some(({ kind, of }) => kind === 'effect' && of === step.of)
}

/** The next order after this one, as an odometer counts; undefined after the last one. */
function nextChoices(choices: readonly number[], widths: readonly number[]): number[] | undefined {
  const next = widths.map((_width, at) => choices[at] ?? 0)
  for (let at = next.length - 1; at >= 0; at -= 1) {
    if (next[at]! + 1 < widths[at]!) return [...next.slice(0, at), next[at]! + 1]
  }
  return undefined
}
