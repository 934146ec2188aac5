// The test kit under the test runners that people have, each with the configuration that it starts with.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { copyFixtures } from './fixtures.js'
import { run } from './process.js'
import { row } from './rows.js'

/** What the rows need; the package and its peers come with it. */
export const runnerPackages = [
  'jest@30',
  '@types/jest@30',
  'ts-jest@29',
  '@swc/jest',
  '@swc/core',
  'mocha',
  'vitest@4.1',
  'typescript@5.9',
  '@types/node@20',
]

interface Runner {
  readonly name: string
  readonly files: readonly string[]
  readonly manifest?: object
  readonly tsconfig?: object
  /** The package and the file in it that is run; none: Node itself. */
  readonly bin?: string
  readonly args?: readonly string[]
}

/* As `nest new` writes them. */
const nestJest = {
  moduleFileExtensions: ['js', 'json', 'ts'],
  rootDir: '.',
  testRegex: String.raw`.*\.spec\.ts$`,
  transform: { [String.raw`^.+\.(t|j)s$`]: 'ts-jest' },
  testEnvironment: 'node',
}
const nestOptions = {
  declaration: true,
  removeComments: true,
  emitDecoratorMetadata: true,
  experimentalDecorators: true,
  allowSyntheticDefaultImports: true,
  target: 'ES2021',
  sourceMap: true,
  outDir: './dist',
  baseUrl: './',
  incremental: true,
  skipLibCheck: true,
}

const runners: readonly Runner[] = [
  { name: 'Jest 30, its defaults', files: ['kit.test.cjs=kit.test.js'], manifest: {}, bin: 'jest/bin/jest.js' },
  {
    name: "ts-jest, Nest 10's configuration",
    files: ['kit.test.ts=kit.spec.ts'],
    manifest: { jest: nestJest },
    tsconfig: { ...nestOptions, module: 'commonjs' },
    bin: 'jest/bin/jest.js',
  },
  {
    name: "ts-jest, Nest 11's configuration",
    files: ['kit.test.ts=kit.spec.ts'],
    manifest: { jest: nestJest },
    tsconfig: { ...nestOptions, module: 'nodenext', isolatedModules: true, strictNullChecks: true },
    bin: 'jest/bin/jest.js',
  },
  {
    name: '@swc/jest',
    files: ['kit.test.ts'],
    manifest: { jest: { transform: { [String.raw`^.+\.ts$`]: '@swc/jest' } } },
    bin: 'jest/bin/jest.js',
  },
  { name: 'Mocha', files: ['kit.test.cjs'], bin: 'mocha/bin/mocha.js', args: ['kit.test.cjs'] },
  { name: 'vitest', files: ['kit.test.ts'], bin: 'vitest/vitest.mjs', args: ['run', '--globals'] },
  { name: 'node:test', files: ['kit.test.cjs'], args: ['--test', 'kit.test.cjs'] },
]

/** Runs them all in a folder where {@link runnerPackages} are installed. */
export async function tryRunners(folder: string): Promise<void> {
  for (const [n, runner] of runners.entries()) {
    await row('the test kit', runner.name, () => tryRunner(folder, `runner-${n}`, runner))
  }
}

async function tryRunner(folder: string, name: string, runner: Runner): Promise<string> {
  const cwd = join(folder, name)
  mkdirSync(cwd)
  writeFileSync(join(cwd, 'package.json'), JSON.stringify(runner.manifest ?? {}))
  if (runner.tsconfig !== undefined) {
    writeFileSync(join(cwd, 'tsconfig.json'), JSON.stringify({ compilerOptions: runner.tsconfig }))
  }
  copyFixtures(cwd, ...runner.files)
  const bin = runner.bin === undefined ? [] : [join(folder, 'node_modules', runner.bin)]
  await run(process.execPath, [...bin, ...(runner.args ?? [])], { cwd, env: { NO_COLOR: '1' } })
  return 'passed'
}
