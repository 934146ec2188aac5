/*
 * A Redis server that is the demo's own, and so may be stopped.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'

/** What can be done to it from any process. */
export interface StoppableRedis {
  /** It answers no client for that long, and no connection to it breaks. */
  readonly stopFor: (ms: number) => void
  readonly kill: () => void
}

export function stoppable(pid: number): StoppableRedis {
  return {
    stopFor(ms) {
      signal(pid, 'SIGSTOP')
      // Not unref'd: this process does not end while Redis stands still.
      setTimeout(signal, ms, pid, 'SIGCONT')
    },
    // SIGKILL reaches a stopped process, too, and what it holds is of no worth.
    kill: () => signal(pid, 'SIGKILL'),
  }
}

/**
 * Starts `redis-server`, or `valkey-server` where there is none, from the PATH. It ends with this process.
 *
 * @throws {Error} (rejects) that says what to install.
 */
export async function startOwnRedis(): Promise<{ url: string; pid: number | undefined }> {
  const port = await freePort()
  const child = (await spawned('redis-server', port)) ?? (await spawned('valkey-server', port))
  if (child === undefined) {
    throw new Error('No redis-server in the PATH. Install one (`npm run setup` does), or set REDIS_URL.')
  }
  await ready(child)
  return { url: `redis://127.0.0.1:${port}`, pid: child.pid }
}

/** Resolves to `undefined` if the PATH has no such command. */
async function spawned(command: string, port: number): Promise<ChildProcess | undefined> {
  const inMemoryOnly = ['--save', '', '--appendonly', 'no', '--dir', tmpdir()]
  const child = spawn(command, ['--bind', '127.0.0.1', '--port', String(port), ...inMemoryOnly], {
    // A group of its own: Ctrl+C reaches the whole group, and the nodes want to close before their Redis does.
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  // It goes when this process goes, whatever the reason but a SIGKILL. After one, the nodes see to it.
  process.once('exit', () => child.kill('SIGKILL'))
  return new Promise((resolve, reject) => {
    child.once('spawn', () => resolve(child))
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') resolve(undefined)
      else reject(error)
    })
  })
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let log = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      log += chunk.toString()
      if (!log.includes('Ready to accept connections')) return
      child.stdout?.removeAllListeners('data').resume()
      resolve()
    })
    child.once('exit', () => reject(new Error(`Redis did not start:\n${log}`)))
  })
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It has gone already.
  }
}
