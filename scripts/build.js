/*
 * Builds `dist` from `src`: one implementation, which every module system finds.
 *
 * - `dist/cjs`: CommonJS and its types. The only code that Node runs, whether by `import` or by `require`, so that classes
 *   and state exist once in a process.
 * - `dist/*.mjs`: what Node imports, one wrapper for each entry point. It names the exports of the CommonJS file one by one.
 * - `dist/esm`: the types of `import`; and the same code for bundlers, by the condition `module`, which Node does not know.
 *   esbuild cannot turn the `require('node:crypto')` of CommonJS into an import, and a bundle holds one copy in any case.
 *
 * Usage: node scripts/build.js [--out <folder>] [--unchecked] [--runtime-only]
 * `--unchecked` skips the type check. `--runtime-only` writes just what Node runs: no types, nothing for bundlers.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

const root = resolve(import.meta.dirname, '..')
const require = createRequire(import.meta.url)
const { values: options } = parseArgs({
  options: {
    out: { type: 'string', default: 'dist' },
    unchecked: { type: 'boolean', default: false },
    'runtime-only': { type: 'boolean', default: false },
  },
})
const out = resolve(root, options.out)

rmSync(out, { recursive: true, force: true })
mkdirSync(join(out, 'cjs'), { recursive: true })
// Before the code: TypeScript and Node both ask the nearest package.json what a `.js` file is.
writeFileSync(join(out, 'cjs/package.json'), '{ "type": "commonjs" }\n')
await Promise.all([
  compile('tsconfig.build-cjs.json', join(out, 'cjs')),
  ...(options['runtime-only'] ? [] : [compile('tsconfig.build.json', join(out, 'esm'))]),
])
for (const entry of entryPoints()) writeFileSync(join(out, `${entry}.mjs`), wrapperOf(entry))

/** @param {string} config @param {string} folder */
async function compile(config, folder) {
  const args = ['-p', join(root, config), '--outDir', folder]
  if (options.unchecked) args.push('--noCheck')
  if (options['runtime-only']) args.push('--noResolve', '--declaration', 'false')
  const child = spawn(process.execPath, [require.resolve('typescript/bin/tsc'), ...args], { stdio: 'inherit' })
  const [status] = await once(child, 'exit')
  if (status !== 0) process.exit(1)
}

/** What `exports` of package.json opens, by the names of its files in `src`. */
function entryPoints() {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return Object.keys(exports)
    .filter((path) => path !== './package.json')
    .map((path) => (path === '.' ? 'index' : path.slice('./'.length)))
}

/** @param {string} entry */
function wrapperOf(entry) {
  const file = `./cjs/${entry}.js`
  const names = Object.keys(require(join(out, file))).sort()
  return `export { ${names.join(', ')} } from '${file}'\n`
}
