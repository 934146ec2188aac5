// the tests of this project, run on both.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Node } from './nodes.js'
import type { Peers } from './peers.js'
import { runNode } from './process.js'

const leftOut = new Set(['node_modules', '.git', 'dist', 'coverage', '.build'])

/** The redis tests that tell one version of its packages from another; the others are about servers that fail. */
const redisTests = [
  'test/redis/live-store.test.ts',
  'test/redis/hearing.test.ts',
  'test/redis/away.test.ts',
  'test/store/connect-redis.redis.test.ts',
]

/** What a busy machine is late with says nothing of a Node. Fewer workers than usual: two suites run at a time. */
const patient = ['--testTimeout=60000', '--hookTimeout=60000', '--maxWorkers=2']

/**
 * Pages are compared with the packages of the lock file, and compiled by its TypeScript: that says nothing of a Node or a
 * peer. Rows of their own start the README's code on each.
 */
const ofThePages = ['api-reference', 'readme']

/** What goes by the package's names alone, and by sockets, sessions and errors. */
const minifiedTests = ['test/live', 'test/upgrade', 'test/socket.io']

const suites = {
  'fast tests': ['--project', 'fast'],
  'Redis tests': ['--project', 'full', ...redisTests],
  'tests on the minified package': ['--project', 'fast', ...minifiedTests],
}

/** A copy of the project, with these peers in place of those of its lock file. */
export function projectWith(root: string, folder: string, peers: Pick<Peers, 'folder' | 'versions'>): string {
  mkdirSync(folder)
  for (const name of readdirSync(root)) {
    if (leftOut.has(name)) continue
    cpSync(join(root, name), join(folder, name), {
      recursive: true,
      filter: (source) => !leftOut.has(source.split(/[\\/]/).at(-1)!),
    })
  }
  for (const name of ofThePages) rmSync(join(folder, `test/${name}.test.ts`))
  linkPackages(join(root, 'node_modules'), join(folder, 'node_modules'))
  for (const name of Object.keys(peers.versions)) {
    const link = join(folder, 'node_modules', name)
    rmSync(link, { recursive: true, force: true })
    symlinkSync(join(peers.folder, 'node_modules', name), link)
  }
  return folder
}

/* One link for each package, so that one can be another. */
function linkPackages(from: string, to: string): void {
  for (const name of packagesIn(from)) {
    mkdirSync(dirname(join(to, name)), { recursive: true })
    symlinkSync(join(from, name), join(to, name))
  }
}

function packagesIn(modules: string): string[] {
  return readdirSync(modules)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) =>
      name.startsWith('@') ? readdirSync(join(modules, name)).map((inner) => `${name}/${inner}`) : name,
    )
}

/** Runs tests in such a copy. Resolves to how many passed. */
export async function runSuite(
  node: Node,
  project: string,
  suite: keyof typeof suites,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const counts = join(project, `counts-${node.version}.txt`)
  const vitest = join(project, 'node_modules/vitest/vitest.mjs')
  rmSync(counts, { force: true })
  await runNode(node.path, [vitest, 'run', ...patient, ...suites[suite]], {
    cwd: project,
    env: { ...env, COUNTS_FILE: counts, NO_COLOR: '1' },
  })
  return readFileSync(counts, 'utf8').trim()
}
