import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { CountsReporter } from './test/support/counts-reporter.js'

// The same tests with more of everything: test/support/soak.ts.
const isSoak = process.env.SOAK === '1'

// What needs more than npm installs (a database server, Chromium, the built package) or more than a moment.
const slow = ['test/{cluster,consumers,e2e,fault,postgres,redis,stores}/**/*.test.ts', 'test/**/*.redis.test.ts']

/* What `ws-session-bridge` is: the sources, or a folder of bundles (test/matrix/bundles.ts), a client of Redis among them. */
const bundles = process.env.PACKAGE_UNDER_TEST
const entries = bundles ?? fileURLToPath(new URL('src', import.meta.url))
const extension = bundles === undefined ? 'ts' : 'js'

export default defineConfig({
  resolve: {
    alias: [
      { find: /^ws-session-bridge$/, replacement: `${entries}/index.${extension}` },
      { find: /^ws-session-bridge\/(.+)$/, replacement: `${entries}/$1.${extension}` },
      ...(bundles === undefined ? [] : [{ find: /^redis$/, replacement: `${bundles}/client.js` }]),
    ],
  },
  test: {
    pool: 'forks',
    // Most tests wait for servers and clocks: three files at a time keep two cores busy.
    maxWorkers: 3,
    setupFiles: ['test/support/at-end.ts'],
    reporters: ['default', new CountsReporter()],
    restoreMocks: true,
    unstubEnvs: true,
    // A machine may be busy: what is waited for comes, however late. A second, the default, is not always enough.
    expect: { poll: { timeout: 10_000 } },
    // What only child processes run, the other end of a Redis test or of NODE_DEBUG, does not count.
    coverage: {
      include: ['src/**'],
      // Its path ends in the same way.
      exclude: ['demo/**'],
      reporter: ['text', 'html'],
      reportOnFailure: true,
      thresholds: { lines: 97, branches: 95 },
    },
    projects: [
      {
        extends: true,
        test: {
          name: 'fast',
          include: ['test/**/*.test.ts'],
          exclude: [...slow, 'test/matrix/**'],
          // Longer than any wait in a test, so that this one says what it has waited for.
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'full',
          include: slow,
          globalSetup: ['test/support/redis-global.ts'],
          testTimeout: isSoak ? 1_800_000 : 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
})
