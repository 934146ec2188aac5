// a real HAProxy before them, with a certificate of its own.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { atEnd } from './at-end.js'
import { makeCertificate } from './certificate.js'
import { freePort } from './redis-server.js'

const recipe = new URL('../recipes/haproxy.cfg', import.meta.url)
const missing = 'The tests need HAProxy: apt-get install -y haproxy (macOS: brew install haproxy).'

export interface Balancer {
  /** What is in Host, and in an Origin after `https://`. */
  readonly host: string
  /** What verifies its certificate. */
  readonly ca: string
}

/** Stopped at the test's end. */
export async function startBalancer(
  ports: readonly [one: number, two: number],
  change: (config: string) => string = (config) => config,
): Promise<Balancer> {
  const folder = await mkdtemp(join(tmpdir(), 'ws-session-bridge-haproxy-'))
  atEnd(() => rm(folder, { recursive: true }))
  const [config, certificate] = [join(folder, 'haproxy.cfg'), join(folder, 'certificate.pem')]
  const { cert, key } = await makeCertificate()
  await writeFile(certificate, cert + key)
  await writeFile(config, change(await readFile(recipe, 'utf8')))

  const port = await freePort()
  const child = spawn('haproxy', ['-db', '-f', config], {
    env: {
      ...process.env,
      LISTEN: `127.0.0.1:${port}`,
      CERTIFICATE: certificate,
      NODE_ONE: `127.0.0.1:${ports[0]}`,
      NODE_TWO: `127.0.0.1:${ports[1]}`,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()))
  const gone = new Promise<string>((resolve) => {
    child.once('error', () => resolve(missing))
    child.once('exit', () => resolve(`HAProxy did not start, or stopped:\n${log}`))
  })
  atEnd(async () => {
    child.kill('SIGKILL')
    await gone
  })
  await Promise.race([listens(port), gone.then((why) => Promise.reject(new Error(why)))])
  return { host: `localhost:${port}`, ca: cert }
}

/** Resolves when something accepts connections on the port. */
export async function listens(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      return
    } catch {
      await pause(20)
    } finally {
      socket.destroy()
    }
  }
}
