// The project on every Node it is for, with the oldest and the newest of its peers, and the package under the compilers,
// runners, bundlers, package managers and runtimes that people have: a table, and one count for each of its rows.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { bundlerPackages, minify, tryBundles } from './bundles.js'
import { compilers, tryCompilers } from './compilers.js'
import { tryInstalls } from './installs.js'
import { installNodes, type Node } from './nodes.js'
import { newUser, pack, tryEntries, tryStart, tryTypes } from './package.js'
import { tryRuntimes, trySharedServers } from './parties.js'
import { described, installPeers, type Peers } from './peers.js'
import { install } from './process.js'
import { inPairs, row, tellTable } from './rows.js'
import { runnerPackages, tryRunners } from './runners.js'
import { tryScript } from './runtimes.js'
import { projectWith, runSuite } from './suite.js'
import { installTools, type Tools } from './tools.js'

interface Pair {
  readonly node: Node
  readonly peers: Peers
}

const root = resolve(import.meta.dirname, '../../../..')
const folder = mkdtempSync(join(tmpdir(), 'ws-session-bridge-matrix-'))
/** `-- --package`: only what concerns the packed package, in a third of the time. */
const isPackageOnly = process.argv.includes('--package')

/** The peers that each Node gets: the oldest of all together, the newest on all others, as connect-redis 10 needs Node 22. */
function pairs(nodes: readonly Node[], oldest: Peers, newest: Peers): Pair[] {
  const [lowest, ...others] = nodes as [Node, ...Node[]]
  const withNewest = others.length === 0 ? [lowest] : others
  return [{ node: lowest, peers: oldest }, ...withNewest.map((node) => ({ node, peers: newest }))]
}

/** As a user has it, who comes with these peers. */
async function tryPackage(tarball: string, all: readonly Pair[], peers: Peers, tools?: Tools): Promise<void> {
  const user = await newUser(root, join(folder, `user-${peers.age}`), tarball, peers)
  for (const { node } of all.filter((pair) => pair.peers === peers)) {
    const on = `Node ${node.version}, ${peers.age} peers`
    await row('import and require()', on, () => tryEntries(node, user))
    await row("the README's Start", on, () => tryStart(node, user))
  }
  // What else has types asks for more than 5.4. The option is rare, and means the same to every compiler: the fastest tries it.
  const tried = compilers.slice(1).map((compiler) => [compiler, false] as const)
  for (const [compiler, exact] of [...tried, ['7', true] as const]) {
    const on = `TypeScript ${compiler}, ${peers.age} types, exactOptionalPropertyTypes ${exact ? 'on' : 'off'}`
    await row('types', on, () => tryTypes(user, compiler, exact))
  }
  if (peers.age === 'oldest') return
  await tryCompilers(user)
  if (tools !== undefined) await tryRuntimes(user, tools, row)
}

/** What people build and test with, in one folder. */
async function tryToolchains(tarball: string, tools?: Tools): Promise<void> {
  const user = join(folder, 'toolchains')
  mkdirSync(user)
  const peers = ['ws@8', 'express-session@1', '@types/ws@8', '@types/express-session@1', 'redis@6', 'connect-redis@9']
  await install(user, [tarball, ...peers, ...runnerPackages, ...bundlerPackages])
  await tryRunners(user)
  await tryBundles(user)
  if (tools !== undefined) {
    await tryScript(user, tools)
    await tryInstalls(folder, tarball, tools)
  }
  const project = projectWith(root, join(folder, 'minified'), { folder: root, versions: {} })
  const bundle = join(project, 'minified')
  await minify(user, bundle)
  const own: Node = { version: process.versions.node, path: process.execPath }
  await row('tests on the minified package', `Node ${own.version}`, () =>
    runSuite(own, project, 'tests on the minified package', { PACKAGE_UNDER_TEST: bundle }),
  )
}

/** The tests of this project: all that are fast, and those of Redis where `withRedis` says so. */
async function trySuites({ node, peers }: Pair, project: string, withRedis: boolean): Promise<void> {
  const on = `Node ${node.version}, ${peers.age} peers`
  await row('fast tests', on, () => runSuite(node, project, 'fast tests'))
  if (withRedis) await row('Redis tests', on, () => runSuite(node, project, 'Redis tests'))
}

/** Each pair in a copy of its own. All copies first: who goes on editing meanwhile does not edit half of them. */
function suitesOf(all: readonly Pair[]): (() => Promise<void>)[] {
  if (isPackageOnly) return []
  const projects = all.map(({ peers }, n) => projectWith(root, join(folder, `project-${n}`), peers))
  return all.map((pair, n) => {
    const isFirstOfItsPeers = all.findIndex(({ peers }) => peers === pair.peers) === n
    return () => trySuites(pair, projects[n]!, isFirstOfItsPeers)
  })
}

try {
  mkdirSync(join(folder, 'nodes'))
  const tarball = await pack(root, folder)
  await row('the matrix itself', 'what every row stands on', async () => {
    const [nodes, oldest, newest, tools] = await Promise.all([
      installNodes(join(folder, 'nodes')),
      installPeers(root, join(folder, 'oldest'), 'oldest'),
      installPeers(root, join(folder, 'newest'), 'newest'),
      installTools(join(folder, 'tools')),
    ])
    console.log(`${described(oldest)}\n${described(newest)}`)
    console.log(`Node ${nodes.map(({ version }) => version).join(', ')}; the lowest has the oldest peers\n`)
    const all = pairs(nodes, oldest, newest)
    await inPairs([
      () => tryToolchains(tarball, tools),
      () => tryPackage(tarball, all, newest, tools),
      ...suitesOf(all),
      () => tryPackage(tarball, all, oldest),
      () => trySharedServers(root, folder, tarball, row),
    ])
    return 'ran to its end'
  })
} finally {
  rmSync(folder, { recursive: true, force: true })
}
tellTable()
