// The package in one file, by esbuild and webpack, minified; and the tests on such a bundle.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { copyFixtures } from './fixtures.js'
import { specifiersOf } from './package.js'
import { expectSaid, run } from './process.js'
import { row } from './rows.js'

export const bundlerPackages = ['esbuild@0.25', 'webpack@5', 'webpack-cli']

/** docs/troubleshooting.md has it: CommonJS packages call a `require` that an ES module does not have. */
const banner =
  "--banner:js=import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"

const esbuilds = [
  { name: 'CommonJS, all in it', entry: 'bundled.cjs', out: 'all.cjs', flags: ['--format=cjs'] },
  { name: 'ESM, all in it, with a `require` of its own', entry: 'bundled.mjs', out: 'all.mjs', flags: [banner] },
  {
    name: 'ESM, the peers outside',
    entry: 'bundled.mjs',
    out: 'without-peers.mjs',
    flags: ['--external:ws', '--external:express-session'],
  },
]

/** Bundles in a folder where the package, its peers and {@link bundlerPackages} are installed, and runs what comes of it. */
export async function tryBundles(folder: string): Promise<void> {
  const cwd = join(folder, 'bundles')
  mkdirSync(cwd)
  writeFileSync(join(cwd, 'package.json'), '{}')
  copyFixtures(cwd, 'bundled.mjs', 'bundled.cjs', 'webpack.config.cjs')
  for (const { name, entry, out, flags } of esbuilds) {
    await row('esbuild to one file', name, async () => {
      const format = entry.endsWith('.mjs') ? ['--format=esm'] : []
      const shared = ['--bundle', '--minify', '--platform=node', `--outfile=out/${out}`, '--log-level=warning']
      await run(esbuildIn(folder), [entry, ...shared, ...format, ...flags], { cwd })
      return await expectSaid(process.execPath, [join('out', out)], { cwd })
    })
  }
  await row('webpack to one file', 'CommonJS and ESM, all in it', async () => {
    await run(process.execPath, [join(folder, 'node_modules/webpack-cli/bin/cli.js')], { cwd })
    await expectSaid(process.execPath, ['out/webpack.cjs'], { cwd })
    return await expectSaid(process.execPath, ['out/webpack.mjs'], { cwd })
  })
}

/** Every entry point of the package, and the client of Redis, minified: no class has the name that it was written with. */
export async function minify(folder: string, into: string): Promise<void> {
  const entries = specifiersOf(folder).map((specifier) => `${specifier.split('/')[1] ?? 'index'}=${specifier}`)
  const shared = ['--bundle', '--minify', '--platform=node', '--format=esm', '--log-level=warning']
  const externals = ['ws', 'express-session', 'cookie', 'redis', 'pg'].map((name) => `--external:${name}`)
  await run(esbuildIn(folder), [...entries, ...shared, ...externals, '--splitting', `--outdir=${into}`], {
    cwd: folder,
  })
  await run(esbuildIn(folder), ['client=redis', ...shared, banner, `--outdir=${into}`], { cwd: folder })
}

function esbuildIn(folder: string): string {
  return join(folder, 'node_modules/@esbuild', `${process.platform}-${process.arch}`, 'bin/esbuild')
}
