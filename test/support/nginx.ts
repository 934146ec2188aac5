// A real nginx before an app, with a certificate of its own.
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atEnd } from './at-end.js'
import { makeCertificate } from './certificate.js'
import { listens, type Balancer } from './haproxy.js'
import { freePort } from './redis-server.js'

const recipe = new URL('../recipes/nginx.conf', import.meta.url)
const missing = 'The tests need nginx: apt-get install -y nginx-light (macOS: brew install nginx).'

/** Debian has it where only root looks. */
const PATH = `${process.env.PATH ?? ''}:/usr/sbin`

/** Stopped at the test's end. */
export async function startNginx(
  appPort: number,
  change: (config: string) => string = (config) => config,
): Promise<Balancer> {
  const folder = await mkdtemp(join(tmpdir(), 'ws-session-bridge-nginx-'))
  const { cert, certFile, keyFile } = await makeCertificate()
  const port = await freePort()
  const servers = change(await readFile(recipe, 'utf8'))
    .replace('listen 443', `listen 127.0.0.1:${port}`)
    .replace('/etc/nginx/certificate.pem', certFile)
    .replace('/etc/nginx/key.pem', keyFile)
    .replace('127.0.0.1:3000', `127.0.0.1:${appPort}`)
  await writeFile(join(folder, 'nginx.conf'), configWith(servers))

  const args = ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr']
  const child = spawn('nginx', args, { env: { ...process.env, PATH }, stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()))
  const gone = new Promise<string>((resolve) => {
    child.once('error', () => resolve(missing))
    child.once('exit', () => resolve(`nginx did not start, or stopped:\n${log}`))
  })
  atEnd(async () => {
    child.kill('SIGTERM')
    await gone
    await rm(folder, { recursive: true })
  })
  await Promise.race([listens(port), gone.then((why) => Promise.reject(new Error(why)))])
  return { host: `localhost:${port}`, ca: cert }
}

/* One process, and no file outside of its folder. */
function configWith(servers: string): string {
  const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${name};`)
  return [
    'daemon off; master_process off; pid nginx.pid; error_log stderr; events {}',
    `http { access_log off; ${folders.join(' ')}`,
    servers,
    '}',
  ].join('\n')
}
