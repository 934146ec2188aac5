// the project on every Node it is for, with the oldest and the newest of its peers and compilers: a table,
// and one count for each of its rows.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { tellCounts } from '../support/counts.js'
import { installNodes, type Node } from './nodes.js'
import { compilers, newUser, pack, tryDoors, tryStart, tryTypes } from './package.js'
import { tryRuntimes, trySharedServers } from './parties.js'
import { described, installPeers, type Peers } from './peers.js'
import { projectWith, runSuite } from './suite.js'

interface Row {
  readonly what: string
  readonly on: string
  readonly outcome: string
  readonly seconds: number
  readonly failure?: unknown
}

interface Pair {
  readonly node: Node
  readonly peers: Peers
}

const root = resolve(import.meta.dirname, '../../../..')
const folder = mkdtempSync(join(tmpdir(), 'ws-session-bridge-matrix-'))
const rows: Row[] = []

/** Does the work of a row. */
async function row(what: string, on: string, work: () => Promise<string>): Promise<void> {
  const begun = performance.now()
  const secondsSince = () => Math.round((performance.now() - begun) / 1000)
  try {
    tell({ what, on, outcome: await work(), seconds: secondsSince() })
  } catch (failure) {
    tell({ what, on, outcome: 'FAILED', seconds: secondsSince(), failure })
  }
}

function tell(one: Row): void {
  rows.push(one)
  console.log(`${one.what}, ${one.on}: ${one.outcome} (${one.seconds} s)`)
}

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
      await row('import and require()', on, () => tryDoors(node, user))
      await row("the README's Start", on, () => tryStart(node, user))
    }
    for (const compiler of compilers) {
      const compile = (exact: boolean) =>
        row(
          'types',
          `TypeScript ${compiler}, ${peers.age} types, exactOptionalPropertyTypes ${exact ? 'on' : 'off'}`,
          () => tryTypes(user, compiler, exact),
        )
      // A compiler keeps one core busy.
      await Promise.all([compile(true), compile(false)])
    }
  }
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

function table(): string {
  const lines = rows.map(({ what, on, outcome, seconds }) => [what, on, outcome, `${seconds} s`])
  const widths = [0, 1, 2].map((column) => Math.max(...lines.map((line) => line[column]!.length)))
  return lines
    .map((line) => `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`)
    .join('\n')
}

try {
  mkdirSync(join(folder, 'nodes'))
  const [nodes, oldest, newest] = await Promise.all([
    installNodes(join(folder, 'nodes')),
    installPeers(root, join(folder, 'oldest'), 'oldest'),
    installPeers(root, join(folder, 'newest'), 'newest'),
  ])
  console.log(`${described(oldest)}\n${described(newest)}`)
  console.log(`Node ${nodes.map(({ version }) => version).join(', ')}; the lowest has the oldest peers\n`)
  const all = pairs(nodes, oldest, newest)
  await trySuites(all)
  const tarball = await pack(root, folder)
  await tryPackage(tarball, all, [oldest, newest])
  await tryRuntimes(folder, join(folder, 'user-newest'), row)
  await trySharedServers(root, folder, tarball, row)
} catch (failure) {
  rows.push({ what: 'the matrix itself', on: '', outcome: 'FAILED', seconds: 0, failure })
} finally {
  rmSync(folder, { recursive: true, force: true })
}

const failed = rows.filter(({ failure }) => failure !== undefined)
for (const { what, on, failure } of failed) {
  console.log(`\n${what}, ${on}:`)
  // Not plain lines: what a run inside says of its own count is not the count of this one.
  for (const line of String(failure).split('\n')) console.log(`  | ${line}`)
}
console.log(`\n${table()}\n`)
if (failed.length > 0) process.exitCode = 1
tellCounts({ passed: rows.length - failed.length, failed: failed.length, skipped: 0 })
