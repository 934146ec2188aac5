// a real one on a free port of its own, ready, and gone with this process at the latest.
import { spawn, type ChildProcess } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Certificate } from './certificate.js'

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
  /** A configuration file, which the server may write to. */
  config?: string
  /** More of the server's own arguments, `['--maxmemory', '5mb']`. */
  args?: readonly string[]
}

const missing =
  'The tests need a Redis server: apt-get install -y redis-server (macOS: brew install redis), or set REDIS_URL.'

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Starts `redis-server`, or `valkey-server` where there is none; rejects if the PATH has neither. */
export async function spawnRedisServer({ port, config, args = [] }: RedisServerOptions = {}): Promise<RedisServer> {
  const onPort = port ?? (await freePort())
  // Of its own, and empty: a replica leaves a dump behind, which the next server in the folder would load.
  const dir = await mkdtemp(join(tmpdir(), 'ws-session-bridge-redis-'))
  const file = config === undefined ? [] : [config]
  const own = [
    ...file,
    '--bind',
    '127.0.0.1',
    '--port',
    String(onPort),
    '--save',
    '',
    '--appendonly',
    'no',
    '--dir',
    dir,
  ]
  const child =
    (await spawned('redis-server', [...own, ...args])) ?? (await spawned('valkey-server', [...own, ...args]))
  if (child === undefined) throw new Error(missing)
  await ready(child)

  const killNow = () => child.kill('SIGKILL')
  running.add(child)
  const gone = once(child, 'exit').then(async () => {
    running.delete(child)
    await rm(dir, { recursive: true, force: true })
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

/** The settings of a server that speaks TLS alone on its port; whether clients have to show a certificate, too. */
export function encryptedOn(port: number, { certFile, keyFile }: Certificate, authClients = false) {
  return {
    port: '0',
    'tls-port': String(port),
    'tls-cert-file': certFile,
    'tls-key-file': keyFile,
    'tls-ca-cert-file': certFile,
    'tls-auth-clients': authClients ? 'yes' : 'no',
  }
}

/** Settings as arguments of the server. */
export function argumentsFor(settings: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
}

/** Resolves to `undefined` if the PATH has no such command. */
async function spawned(command: string, args: readonly string[]): Promise<ChildProcess | undefined> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
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
      if (!/Ready to accept connections|Sentinel ID is/.test(log)) return
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

/** What this process was given: a server that is yet to start does not hold its port. */
const given = new Set<number>()

/** A quarter of the ports for each of the three workers, which start servers at the same time, and one for what is none. */
const quarter = 4_096
const lowestPort = 16_384 + (Number(process.env.VITEST_POOL_ID ?? 0) % 4) * quarter

/**
 * A port that is free at this moment, and given to no other caller in this run. It is none of those that systems give to connections of their own (RFC 6335, section 6: from
 * 49152 on; Linux: from 32768 on), or a client of another test could take it before the server is there.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(lowestPort, lowestPort + quarter)
    const server = createServer().listen(port, '127.0.0.1')
    try {
      await once(server, 'listening')
    } catch {
      continue
    }
    server.close()
    await once(server, 'close')
    if (given.has(port)) continue
    given.add(port)
    return port
  }
}
