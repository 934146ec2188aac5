// What is too heavy for the lock file: dev servers that share a server with the bridge, and other runtimes.
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { install } from './process.js'
import type { Tools } from './tools.js'
import { checkSharedServer, type SharedServer } from './shared-server.js'

type Row = (what: string, on: string, work: () => Promise<string>) => Promise<void>

interface Party {
  readonly name: string
  readonly packages: readonly string[]
  /** Files that it needs beside the script. */
  readonly files?: Readonly<Record<string, string>>
  readonly runs: readonly Pick<SharedServer, 'script' | 'ownPath' | 'env'>[]
}

const layout = 'export default function Layout({ children }) { return <html><body>{children}</body></html> }'
const page = 'export default function Page() { return <p>A page</p> }'

function next(version: string, ownPath: string): Party {
  return {
    name: `Next ${version}`,
    packages: [`next@${version}`, 'react@19', 'react-dom@19'],
    files: { 'app/layout.js': layout, 'app/page.js': page },
    runs: [
      { script: 'next.js', ownPath },
      { script: 'next-listening.js', ownPath, env: { ORDER: 'bridge first' } },
      { script: 'next-listening.js', ownPath, env: { ORDER: 'bridge last' } },
    ],
  }
}

const parties: readonly Party[] = [
  next('15.5', '/_next/webpack-hmr'),
  next('16.4', '/_next/hmr'),
  {
    name: 'webpack-dev-server 5',
    packages: ['webpack-dev-server@5', 'webpack@5'],
    files: { 'page.js': "console.log('A page')" },
    runs: [{ script: 'webpack-dev-server.js', ownPath: '/ws' }],
  },
]

/** Starts each of them on one server with the bridge, as docs/on-a-shared-server.md has it. */
export async function trySharedServers(root: string, folder: string, tarball: string, row: Row): Promise<void> {
  for (const { name, packages, files = {}, runs } of parties) {
    const home = join(folder, name.replace(' ', '-'))
    for (const { script, ownPath, env = {} } of runs) {
      await row(`${script}: one server with`, [name, ...Object.values(env)].join(', '), async () => {
        if (!existsSync(home)) await newHome(root, home, [tarball, ...packages], files)
        return checkSharedServer({ command: process.execPath, folder: home, script, ownPath, env })
      })
    }
  }
}

async function newHome(root: string, home: string, packages: readonly string[], files: Party['files'] = {}) {
  mkdirSync(join(home, 'app'), { recursive: true })
  writeFileSync(join(home, 'package.json'), '{ "private": true, "type": "module" }')
  cpSync(join(root, 'test/matrix/beside'), home, { recursive: true })
  for (const [name, text] of Object.entries(files)) writeFileSync(join(home, name), text)
  await install(home, [...packages, 'express', 'express-session', 'ws'])
}

/** Runs the README's start, compiled in a folder of `newUser`, on runtimes that are not Node. */
export async function tryRuntimes(user: string, { bun, deno }: Tools, row: Row): Promise<void> {
  const runtimes = [
    { name: 'Bun 1.4', command: bun, args: [] },
    { name: 'Deno 2.9', command: deno, args: ['run', '--allow-all', '--node-modules-dir=manual'] },
  ]
  for (const { name, command, args } of runtimes) {
    await row("the README's Start", name, () =>
      checkSharedServer({ command, args, folder: join(user, 'out'), script: 'start.js', asks: true }),
    )
  }
}
