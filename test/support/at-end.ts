// In: what a fixture has to undo. Out: undone when the test ends, or, outside a test, when its file ends; last in, first out.
import { afterAll, onTestFinished, TestRunner } from 'vitest'

type Undo = () => unknown

const ofFile: Undo[] = []

/** Runs `undo` when the running test ends; in `beforeAll` or at the top of a file, when the file ends. */
export function atEnd(undo: Undo): void {
  if (TestRunner.getCurrentTest()) {
    onTestFinished(async () => {
      await undo()
    })
  } else {
    ofFile.push(undo)
  }
}

// This file is one of vitest's `setupFiles`, so the hook belongs to every test file.
afterAll(async () => {
  for (let undo = ofFile.pop(); undo; undo = ofFile.pop()) await undo()
})
