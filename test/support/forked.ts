// a process of its own that runs it, on these very sources.
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import ts from 'typescript'
import { atEnd } from './at-end.js'

const root = resolve(import.meta.dirname, '../..')

/** Compiles `src` and the folders of the tests that it is given, and returns where they are then. */
export function compiled(...folders: readonly string[]): string {
  mkdirSync(join(root, '.build'), { recursive: true })
  // Inside the project, so that packages are found.
  const out = mkdtempSync(join(root, '.build/forked-'))
  atEnd(() => {
    rmSync(out, { recursive: true })
  })
  for (const file of ['src', ...folders].flatMap((folder) => sourcesIn(join(root, folder)))) {
    const target = join(out, relative(root, file)).replace(/\.ts$/, '.js')
    mkdirSync(dirname(target), { recursive: true })
    const { outputText } = ts.transpileModule(readFileSync(file, 'utf8'), {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true },
    })
    writeFileSync(target, outputText)
  }
  // A package of its own, so that its name leads to these sources, too.
  const exports = { '.': './src/index.js', './*': './src/*.js' }
  writeFileSync(join(out, 'package.json'), JSON.stringify({ name: 'ws-session-bridge', type: 'module', exports }))
  return out
}

/** Starts a compiled script; resolves when it sends its first message. It is killed at the test's end. */
export async function forked(script: string, argument: object): Promise<{ process: ChildProcess; first: unknown }> {
  const process = fork(script, [JSON.stringify(argument)], { execArgv: ['--enable-source-maps'] })
  atEnd(() => process.kill('SIGKILL'))
  const [first] = (await once(process, 'message')) as [unknown]
  return { process, first }
}

function sourcesIn(folder: string): string[] {
  return ts.sys.readDirectory(folder, ['.ts'], ['**/*.d.ts', '**/.build/**'])
}
