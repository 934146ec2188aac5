/*
 * `npm run demo:cluster`: two nodes and their Redis, started and stopped together.
 * In: PORT and REDIS_URL, neither of them needed. Out: two addresses of one site, until Ctrl+C.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import { startOwnRedis } from './own-redis.js'

const { PORT = '3000', REDIS_URL, SESSION_SECRET = randomBytes(32).toString('base64url') } = process.env
const server = fileURLToPath(new URL('server.js', import.meta.url))

// What is started is noted at once, so that whatever happens next, `end` finds it.
const children: ChildProcess[] = []
let ending: Promise<void> | undefined
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void end())

const own = REDIS_URL ? undefined : await startOwnRedis()
// At the latest: however this process comes to its end, but for a SIGKILL. After one, the nodes do it.
process.once('exit', () => own?.child.kill('SIGKILL'))

const urls: string[] = []
for (const name of ['node 1', 'node 2']) {
  // One after another: the second takes the next free port after the first one's.
  const port = urls.length === 0 ? PORT : String(Number(new URL(urls.at(-1) ?? '').port) + 1)
  urls.push(await startNode(name, port))
}
console.log(`Open ${urls.join(' and ')} (sessions in ${own?.url ?? 'the Redis of REDIS_URL'}; Ctrl+C ends all of it).`)

async function startNode(name: string, port: string): Promise<string> {
  const { url = REDIS_URL, child } = own ?? {}
  const env = { ...process.env, PORT: port, NODE_NAME: name, REDIS_URL: url, SESSION_SECRET }
  const node = fork(server, { env: { ...env, ...(child && { OWN_REDIS_PID: String(child.pid) }) } })
  children.push(node)
  // A node that has died takes the others along: half a cluster would only confuse.
  node.once('exit', (code) => {
    if (ending === undefined) process.exitCode = code ?? 1
    void end()
  })
  const [ready] = (await once(node, 'message')) as [{ url: string }]
  return ready.url
}

function end(): Promise<void> {
  ending ??= endAll()
  return ending
}

async function endAll(): Promise<void> {
  await Promise.all(
    children.map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGTERM')
      await once(child, 'exit')
    }),
  )
  // Stopped or not: SIGKILL ends it.
  own?.child.kill('SIGKILL')
}
