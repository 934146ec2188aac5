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
import { installTools } from './tools.js'

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

async function tryPackage(tarball: string, all: readonly Pair[], ages: readonly Peers[]): Promise<void> {
  for (const peers of ages) {
    const user = await newUser(root, join(folder, `user-${peers.age}`), tarball, peers)
    for (const { node } of all.filter((pair) => pair.peers === peers)) {
      const on = `Node ${node.version}, ${peers.age} peers`
      await row('import and require()', on, () => tryEntries(node, user))
      await row("the README's Start", on, () => tryStart(node, user))
    }
    // What else has types asks for more than 5.4.
    const works = compilers.slice(1).flatMap((compiler) =>
      [true, false].map((exact) => () => {
        const on = `TypeScript ${compiler}, ${peers.age} types, exactOptionalPropertyTypes ${exact ? 'on' : 'off'}`
        return row('types', on, () => tryTypes(user, compiler, exact))
      }),
    )
    await inPairs(works)
    if (peers.age === 'newest') await tryCompilers(user)
  }
}

/** What people build and test with, in one folder. */
async function tryToolchains(tarball: string): Promise<void> {
  const user = join(folder, 'toolchains')
  mkdirSync(user)
  const peers = ['ws@8', 'express-session@1', '@types/ws@8', '@types/express-session@1', 'redis@6', 'connect-redis@9']
  const [tools] = await Promise.all([
    installTools(join(folder, 'tools')),
    install(user, [tarball, ...peers, ...runnerPackages, ...bundlerPackages]),
  ])
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

async function trySuites(all: readonly Pair[]): Promise<void> {
  const withRedis = new Set<Peers>()
  // All copies first: who goes on editing meanwhile does not edit half of them.
  const projects = all.map(({ peers }, n) => projectWith(root, join(folder, `project-${n}`), peers))
  for (const [n, { node, peers }] of all.entries()) {
    const project = projects[n]!
    const on = `Node ${node.version}, ${peers.age} peers`
    await row('fast tests', on, () => runSuite(node, project, 'fast tests'))
    if (!withRedis.has(peers)) await row('Redis tests', on, () => runSuite(node, project, 'Redis tests'))
    withRedis.add(peers)
  }
}

try {
  mkdirSync(join(folder, 'nodes'))
  const tarball = await pack(root, folder)
  await row('the matrix itself', 'what every row stands on', async () => {
    const [nodes, oldest, newest] = await Promise.all([
      installNodes(join(folder, 'nodes')),
      installPeers(root, join(folder, 'oldest'), 'oldest'),
      installPeers(root, join(folder, 'newest'), 'newest'),
    ])
    console.log(`${described(oldest)}\n${described(newest)}`)
    console.log(`Node ${nodes.map(({ version }) => version).join(', ')}; the lowest has the oldest peers\n`)
    const all = pairs(nodes, oldest, newest)
    await tryToolchains(tarball)
    await tryPackage(tarball, all, [oldest, newest])
    await tryRuntimes(folder, join(folder, 'user-newest'), row)
    await trySharedServers(root, folder, tarball, row)
    if (!isPackageOnly) await trySuites(all)
    return 'ran to its end'
  })
} finally {
  rmSync(folder, { recursive: true, force: true })
}
tellTable()
