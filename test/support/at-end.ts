// undone when the test ends, or, outside a test, when its file ends; last in, first out.
import { afterAll, onTestFinished, TestRunner } from 'vitest'

type Undo = () => unknown

const ofFile = new Set<Undo>()
const ofTests = new WeakMap<object, Set<Undo>>()

/**
 * Runs `undo` when the running test ends; in `beforeAll` or at the top of a file, when the file ends.
 *
 * @returns what forgets it: a test that opens a hundred thousand sockets must not hold them all to its end.
 */
export function atEnd(undo: Undo): () => void {
  const test = TestRunner.getCurrentTest()
  const undos = undosOf(test)
  // Of its own, so that the same function twice is undone twice.
  const own: Undo = async () => {
    await undo()
  }
  undos.add(own)
  return () => {
    undos.delete(own)
  }
}

function undosOf(test: object | undefined): Set<Undo> {
  if (test === undefined) return ofFile
  const known = ofTests.get(test)
  if (known !== undefined) return known
  const undos = new Set<Undo>()
  ofTests.set(test, undos)
  onTestFinished(() => undone(undos))
  return undos
}

async function undone(undos: Set<Undo>): Promise<void> {
  const failures: unknown[] = []
  // One may add another.
  while (undos.size > 0) {
    for (const undo of [...undos].reverse()) {
      undos.delete(undo)
      // The others are undone all the same.
      await Promise.resolve()
        .then(undo)
        .catch((error: unknown) => failures.push(error))
    }
  }
  if (failures.length > 0) throw failures[0]
}

// This file is one of vitest's `setupFiles`, so the hook belongs to every test file.
afterAll(() => undone(ofFile))
