// a database server as a process of its own, ready, and gone with this process at the latest.
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { ServerUser } from './server-user.js'

export interface DatabaseServer {
  readonly port: number
  /** Resolves when it is gone, whoever has ended it. */
  readonly gone: Promise<void>
  /** Ends the server and resolves when it is gone; harmless a second time. */
  stop(): Promise<void>
  /** SIGSTOP and SIGCONT freeze and thaw it. */
  kill(signal: NodeJS.Signals): void
}

export interface DatabaseProcess {
  readonly command: string
  readonly args: readonly string[]
  readonly user: ServerUser
  /** What it says when it is ready. */
  readonly ready: RegExp
  readonly port: number
  /** Where its data is, removed when it is gone unless it is kept for another start. */
  readonly folder: string
  readonly keepsFolder?: boolean
}

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Runs a command to its end, as that user. */
export async function runAs(user: ServerUser, command: string, args: readonly string[]): Promise<void> {
  await promisify(execFile)(command, [...args], { ...user, cwd: '/' })
}

export async function startDatabase(database: DatabaseProcess): Promise<DatabaseServer> {
  const { command, args, user, port, folder, keepsFolder = false } = database
  const child = spawn(command, args, { ...user, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  const gone = once(child, 'exit').then(async () => {
    running.delete(child)
    if (!keepsFolder) await rm(folder, { recursive: true, force: true })
  })
  await isReady(child, database)
  return {
    port,
    gone,
    // What it holds is of no worth.
    stop() {
      child.kill('SIGKILL')
      return gone
    },
    kill(signal) {
      child.kill(signal)
    },
  }
}

function isReady(child: ChildProcess, { command, ready }: DatabaseProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let log = ''
    const read = (chunk: Buffer) => {
      log += chunk.toString()
      if (ready.test(log)) settle(resolve)
    }
    const failed = () => {
      settle(() => {
        reject(new Error(`${command} did not start:\n${log}`))
      })
    }
    const settle = (done: () => void) => {
      child.off('exit', failed)
      for (const stream of [child.stdout, child.stderr]) stream?.off('data', read).resume()
      done()
    }
    child.once('exit', failed)
    child.once('error', failed)
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', read)
  })
}
