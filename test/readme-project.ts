// a project as its reader would have it, with the package built from src, compiled in strict mode.
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { atEnd } from './support/at-end.js'

const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))
const compilerOptions = {
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  module: 'nodenext',
  target: 'es2022',
  types: ['node'],
  // For speed: it is the README's code that is checked.
  skipLibCheck: true,
}
const packages = [
  'ws',
  'express',
  'express-session',
  'cookie',
  'cookie-signature',
  'redis',
  '@redis',
  'connect-redis',
  '@types',
]

/** Writes each `name: code` as name.ts and compiles them; rejects with what the compiler said. Resolves to the folder. */
export async function compileAsReader(sources: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ws-session-bridge-reader-'))
  atEnd(() => rm(folder, { recursive: true }))
  const modules = join(folder, 'node_modules')
  const installed = join(modules, 'ws-session-bridge')

  await mkdir(installed, { recursive: true })
  await Promise.all(packages.map((name) => symlink(join(root, 'node_modules', name), join(modules, name))))
  await run(process.execPath, [join(root, 'scripts/build.js'), '--unchecked', '--out', join(installed, 'dist')])
  await cp(join(root, 'package.json'), join(installed, 'package.json'))

  const files = Object.keys(sources).map((name) => `${name}.ts`)
  await Promise.all(Object.entries(sources).map(([name, code]) => writeFile(join(folder, `${name}.ts`), code)))
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
  await tsc('-p', folder)
  return folder
}

async function tsc(...args: string[]): Promise<void> {
  const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
  try {
    await run(process.execPath, [compiler, ...args])
  } catch (error) {
    const { stdout } = error as { stdout: string }
    throw new Error(`The compiler says:\n${stdout}`, { cause: error })
  }
}
