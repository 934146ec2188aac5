// what it said, or an error with all of it.
import { spawn } from 'node:child_process'
import { delimiter, dirname } from 'node:path'

export interface RunOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  /** How long it may take, in ms. */
  readonly timeoutMs?: number
}

/** Runs a command; resolves to its standard output. */
export function run(command: string, args: readonly string[], options: RunOptions): Promise<string> {
  const { cwd, env, timeoutMs = 300_000 } = options
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, timeout: timeoutMs })
    let [stdout, all] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      all += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => (all += text))
    child.on('error', reject)
    child.on('close', (status, signal) => {
      if (status === 0) return resolve(stdout)
      reject(new Error(`${command} ${args.join(' ')}\nended with ${String(status ?? signal)}:\n${all}`))
    })
  })
}

/** Runs a script in a Node; whatever it starts as `node` is that one, too. */
export function runNode(node: string, args: readonly string[], options: RunOptions): Promise<string> {
  const PATH = `${dirname(node)}${delimiter}${process.env.PATH ?? ''}`
  return run(node, args, { ...options, env: { ...options.env, PATH } })
}

/** Runs `bundled.mjs` or `bundled.cjs`, however it was bundled; resolves to what it says if that is right. */
export async function expectSaid(command: string, args: readonly string[], options: RunOptions): Promise<string> {
  const said = (await run(command, args, { ...options, timeoutMs: 30_000 })).trim()
  if (said !== 'Hello, Ada, closed, SessionEndedError, TypeError') throw new Error(`The script says: ${said}`)
  return said
}

/** Installs packages into a folder, without a lock file and without their scripts. What npm has kept is not asked for again. */
export async function install(folder: string, packages: readonly string[]): Promise<void> {
  const flags = [
    '--no-save',
    '--no-package-lock',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    '--prefer-offline',
  ]
  await run('npm', ['install', ...flags, ...packages], { cwd: folder })
}
