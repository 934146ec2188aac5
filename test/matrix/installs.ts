// The package beside what its users have already: older stores and clients, and package managers that hoist nothing.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { copyFixtures } from './fixtures.js'
import { expectSaid, install, run } from './process.js'
import { row } from './rows.js'
import type { Tools } from './tools.js'

/** What npm 7 and newer refused with ERESOLVE while the ranges of the optional peers were narrow. */
const neighbors = [
  ['connect-redis@7'],
  ['connect-redis@7', 'redis@4'],
  ['connect-redis@8'],
  ['connect-redis@8', 'ioredis@5'],
  ['connect-redis@9', 'redis@5'],
  ['ws@8.0.0', 'express-session@1.17.0'],
]

const kitNeeds = 'TypeError: createTestBridge needs ws 8.17 or newer, and found'
const oldestPeers: readonly [version: string, ...said: string[]][] = [
  ['8.0.0', `${kitNeeds} 8.0.0.`, "TypeError: Option `refuseWith`: 'close' needs ws 8.1 or newer, and found 8.0.0."],
  ['8.16.0', `${kitNeeds} 8.16.0.`, 'refuseWith'],
]

export async function tryInstalls(folder: string, tarball: string, tools: Tools): Promise<void> {
  for (const [n, packages] of neighbors.entries()) {
    await row('npm install', `beside ${packages.join(' and ')}`, () =>
      resolveWith(join(folder, `neighbors-${n}`), tarball, packages),
    )
  }
  for (const [version, ...expected] of oldestPeers) {
    await row('what a feature needs', `ws ${version}, express-session 1.17.0`, () =>
      tryOldest(join(folder, `oldest-${version}`), tarball, version, expected),
    )
  }
  await row('pnpm install', 'strict: nothing is hoisted', () => installByPnpm(join(folder, 'pnpm'), tarball, tools))
  await row('yarn install', "Plug'n'Play", () => installByYarn(join(folder, 'yarn'), tarball, tools))
}

/* They let a user in, and what needs more says what is there and what is needed. */
async function tryOldest(folder: string, tarball: string, version: string, expected: readonly string[]) {
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), '{ "private": true }')
  await install(folder, [tarball, `ws@${version}`, 'express-session@1.17.0'])
  copyFixtures(folder, 'oldest.mjs')
  const said = await run(process.execPath, ['oldest.mjs'], { cwd: folder, timeoutMs: 30_000 })
  if (said.trim() !== ['Hello, Ada', 'closed', '401', ...expected].join(' | ')) throw new Error(`It says: ${said}`)
  return expected.join(' | ')
}

/* All that can be refused is refused before anything is downloaded. */
async function resolveWith(folder: string, tarball: string, packages: readonly string[]): Promise<string> {
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), '{ "private": true }')
  const flags = ['--package-lock-only', '--ignore-scripts', '--no-audit', '--no-fund']
  await run('npm', ['install', ...flags, tarball, 'ws@8', 'express-session@1', ...packages], { cwd: folder })
  return 'resolved'
}

function project(folder: string, tarball: string): void {
  mkdirSync(folder)
  const dependencies = { 'ws-session-bridge': `file:${tarball}`, ws: '^8.0.0', 'express-session': '^1.17.0' }
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies }))
  copyFixtures(folder, 'bundled.mjs', 'bundled.cjs')
}

async function installByPnpm(folder: string, tarball: string, { pnpm }: Tools): Promise<string> {
  project(folder, tarball)
  const strict = ['--config.hoist=false', '--config.strict-peer-dependencies=true', '--ignore-scripts']
  await run(pnpm, ['install', ...strict, '--store-dir', join(folder, '../pnpm-store')], { cwd: folder })
  return await expectSaid(process.execPath, ['bundled.mjs'], { cwd: folder })
}

async function installByYarn(folder: string, tarball: string, { yarn }: Tools): Promise<string> {
  project(folder, tarball)
  // Its own, so that no folder above is taken for the project.
  writeFileSync(join(folder, 'yarn.lock'), '')
  const env = {
    YARN_NODE_LINKER: 'pnp',
    YARN_ENABLE_TELEMETRY: '0',
    YARN_ENABLE_IMMUTABLE_INSTALLS: '0',
    YARN_ENABLE_GLOBAL_CACHE: '0',
    YARN_ENABLE_SCRIPTS: '0',
  }
  await run(process.execPath, [yarn, 'install'], { cwd: folder, env })
  await expectSaid(process.execPath, [yarn, 'node', 'bundled.cjs'], { cwd: folder, env })
  return await expectSaid(process.execPath, [yarn, 'node', 'bundled.mjs'], { cwd: folder, env })
}
