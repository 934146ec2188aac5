// In: arguments for a Redis server. Out: a real one on a free port of its own, ready, and gone with this process at the latest.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'

export interface RedisServer {
  readonly url: string
  readonly port: number
  /** Ends the server and resolves when it is gone; harmless a second time. */
  stop(): Promise<void>
  /** Sends a signal: SIGSTOP and SIGCONT freeze and thaw it, SIGKILL lets it crash. */
  kill(signal: NodeJS.Signals): void
}

export interface RedisServerOptions {
  /** Default: a free one. Name one to start a server again where one was stopped. */
  port?: number
  /** More of the server's own arguments, `['--maxmemory', '5mb']`. */
  args?: readonly string[]
}

const missing =
  'The tests need a Redis server: apt-get install -y redis-server (macOS: brew install redis), or set REDIS_URL.'

/** Starts `redis-server`, or `valkey-server` where there is none; rejects if the PATH has neither. */
export async function spawnRedisServer({ port, args = [] }: RedisServerOptions = {}): Promise<RedisServer> {
  const onPort = port ?? (await freePort())
  const child =
    (await spawned('redis-server', onPort, args)) ?? (await spawned('valkey-server', onPort, args)) ?? unavailable()
  await ready(child)

  const killNow = () => child.kill('SIGKILL')
  process.once('exit', killNow)
  const gone = once(child, 'exit').then(() => {
    process.off('exit', killNow)
  })

  return {
    url: `redis://127.0.0.1:${onPort}`,
    port: onPort,
    // What it holds is of no worth, and SIGKILL also reaches a frozen server.
    stop() {
      killNow()
      return gone
    },
    kill(signal) {
      child.kill(signal)
    },
  }
}

function unavailable(): never {
  throw new Error(missing)
}

/** Resolves to `undefined` if the PATH has no such command. */
async function spawned(command: string, port: number, args: readonly string[]): Promise<ChildProcess | undefined> {
  const own = ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no', '--dir', tmpdir()]
  const child = spawn(command, [...own, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  return new Promise((resolve, reject) => {
    child.once('spawn', () => {
      resolve(child)
    })
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') resolve(undefined)
      else reject(error)
    })
  })
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let log = ''
    const read = (chunk: Buffer) => {
      log += chunk.toString()
      if (!log.includes('Ready to accept connections')) return
      child.off('exit', failed)
      child.stdout?.off('data', read).resume()
      resolve()
    }
    const failed = () => {
      reject(new Error(`The Redis server did not start:\n${log}`))
    }
    child.once('exit', failed)
    child.stdout?.on('data', read)
    child.stderr?.on('data', read)
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
