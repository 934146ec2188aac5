// its last line, "N passed, N failed, N skipped".
import type { Reporter, TestModule } from 'vitest/node'
import { tellCounts } from './counts.js'

export class CountsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    // An error outside every test fails the run just as a test does, so it counts as one.
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0 }
    for (const module of modules) {
      count.failed += module.errors().length
      for (const suite of module.children.allSuites()) count.failed += suite.errors().length
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        count[state === 'pending' ? 'skipped' : state] += 1
      }
    }
    // A run of nothing has shown nothing.
    if (count.passed === 0) process.exitCode = 1
    tellCounts(count)
  }
}
