// A user's file with every entry point in it, under each compiler, module system and resolution that people have.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fixture } from './fixtures.js'
import { run } from './process.js'
import { row } from './rows.js'

/** The compilers, each under a name of its own. */
export const compilers = ['5.4', '5.9', '6', '7'] as const
export type Compiler = (typeof compilers)[number]

interface Setting {
  readonly name: string
  readonly options: object
  /** The file as CommonJS, as ESM, or as what the package.json beside it says. */
  readonly files: readonly string[]
  /** The compilers that have it. */
  readonly by: readonly Compiler[]
}

const both = ['user.cts', 'user.mts']
const settings: readonly Setting[] = [
  {
    name: 'commonjs, node10',
    options: { module: 'commonjs', moduleResolution: 'node10' },
    files: ['user.ts'],
    by: ['5.4', '5.9'],
  },
  {
    name: 'commonjs, node10',
    options: { module: 'commonjs', moduleResolution: 'node10', ignoreDeprecations: '6.0' },
    files: ['user.ts'],
    by: ['6'],
  },
  { name: 'node16', options: { module: 'node16' }, files: both, by: compilers },
  { name: 'nodenext', options: { module: 'nodenext' }, files: both, by: compilers },
  {
    name: 'esnext, bundler',
    options: { module: 'esnext', moduleResolution: 'bundler' },
    files: ['user.ts', ...both],
    by: compilers,
  },
]

/** Compiles in a folder where the package, its peers and {@link compilers} are installed. */
export async function tryCompilers(folder: string): Promise<void> {
  for (const setting of settings) {
    for (const compiler of setting.by) {
      await row('every entry point compiles', `TypeScript ${compiler}, ${setting.name}`, () =>
        compileUser(folder, compiler, setting),
      )
    }
  }
}

/* With `skipLibCheck`, as most users have it: other rows check the package's own types in full. */
async function compileUser(folder: string, compiler: Compiler, { name, options, files }: Setting): Promise<string> {
  const cwd = join(folder, `${compiler} ${name}`.replaceAll(/\W+/g, '-'))
  mkdirSync(cwd)
  writeFileSync(join(cwd, 'package.json'), '{}')
  for (const file of files) writeFileSync(join(cwd, file), fixture('consumer.ts'))
  // What one file exports the other one takes: the types of `require` and of `import` are those of one implementation.
  const isMixed = both.every((file) => files.includes(file))
  if (isMixed) writeFileSync(join(cwd, 'mixed.mts'), fixture('mixed.mts'))
  const compilerOptions = {
    strict: true,
    esModuleInterop: true,
    skipLibCheck: true,
    target: 'es2022',
    types: ['node'],
    noEmit: true,
    ...options,
  }
  const all = isMixed ? [...files, 'mixed.mts'] : files
  writeFileSync(join(cwd, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: all }))
  await run(process.execPath, [compilerIn(folder, compiler), '-p', cwd], { cwd })
  return `${all.join(', ')}: ${versionOf(folder, compiler)}`
}

export function compilerIn(folder: string, compiler: Compiler): string {
  return join(folder, 'node_modules', `typescript-${compiler}`, 'bin/tsc')
}

export function versionOf(folder: string, compiler: Compiler): string {
  const manifest = readFileSync(join(folder, 'node_modules', `typescript-${compiler}`, 'package.json'), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}
