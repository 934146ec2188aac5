// a folder with the oldest or the newest version of each, and what they are.
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { install, run } from './process.js'

export interface Peers {
  readonly age: 'oldest' | 'newest'
  readonly folder: string
  /** What is installed, by name; the types of peers included. */
  readonly versions: Readonly<Record<string, string>>
}

interface Manifest {
  readonly version: string
  readonly peerDependencies: Readonly<Record<string, string>>
}

/* The ranges are wide, so that npm refuses no app; some features need more, and say so when they are used. The oldest with all. */
const oldestWithAll: Readonly<Record<string, string>> = {
  '@types/express-session': '1.18.0',
  '@types/ws': '8.5.13',
  'connect-redis': '9.0.0',
  'express-session': '1.18.1',
  // The first one that tells of invalidations; with an older one redisLiveStore is a TypeError.
  redis: '5.9.0',
  ws: '8.17.1',
}

/** Installs one version of each peer, by what package.json declares. */
export async function installPeers(root: string, folder: string, age: Peers['age']): Promise<Peers> {
  const ranges = Object.entries(manifestIn(root).peerDependencies)
  mkdirSync(folder)
  const versionOf = (name: string, range: string) =>
    age === 'oldest' ? (oldestWithAll[name] ?? oldestOf(range)) : newestOf(folder, name, range)
  const packages = ranges.map(async ([name, range]) => `${name}@${await versionOf(name, range)}`)
  await install(folder, await Promise.all(packages))
  const versions = ranges.map(([name]) => [name, manifestIn(join(folder, 'node_modules', name)).version])
  return { age, folder, versions: Object.fromEntries(versions) as Peers['versions'] }
}

/** As a row of the table has them. */
export function described({ age, versions }: Peers): string {
  const names = Object.keys(versions).filter((name) => !name.startsWith('@types/'))
  return `${age}: ${names.map((name) => `${name} ${versions[name]!}`).join(', ')}`
}

/* `^8.17.1` → 8.17.1, `>=9` → 9.0.0. */
function oldestOf(range: string): string {
  const [, major, minor = '.0', patch = '.0'] = /^(?:\^|>=)(\d+)(\.\d+)?(\.\d+)?$/.exec(range) ?? []
  if (major === undefined) throw new Error(`A range with more than a lower bound: ${range}`)
  return `${major}${minor}${patch}`
}

/* npm itself would rather take one that is for the running Node. */
async function newestOf(folder: string, name: string, range: string): Promise<string> {
  const said = await run('npm', ['view', `${name}@${range}`, 'version', '--json'], { cwd: folder })
  const versions = ([JSON.parse(said)] as (string | string[])[]).flat()
  // It lists them as they were published.
  return versions.sort((one, other) => one.localeCompare(other, 'en', { numeric: true })).at(-1)!
}

export function manifestIn(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest
}
