/*
 * `npm run demo:cluster`: two nodes and their Redis, started and stopped together.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import { onShutdown } from './on-shutdown.js'
import { startOwnRedis } from './own-redis.js'

const { PORT = '3000', REDIS_URL, SESSION_SECRET = randomBytes(32).toString('base64url') } = process.env
const server = fileURLToPath(new URL('server.js', import.meta.url))

// What is started is noted at once, so that whatever happens next, `end` finds it.
const nodes: ChildProcess[] = []
let ending: Promise<void> | undefined
onShutdown(end)

const ownRedis = REDIS_URL ? undefined : await startOwnRedis().catch(giveUp)
const urls: string[] = []
for (const name of ['node 1', 'node 2']) {
  // One after another: the second takes the next free port after the first one's.
  const port = urls.length === 0 ? PORT : String(Number(new URL(urls.at(-1) ?? '').port) + 1)
  if (ending === undefined) urls.push(await startNode(name, port))
}
console.log(
  `Open ${urls.join(' and ')} (sessions in ${ownRedis?.url ?? 'the Redis of REDIS_URL'}; Ctrl+C ends all of it).`,
)

async function startNode(name: string, port: string): Promise<string> {
  const { url = REDIS_URL, pid } = ownRedis ?? {}
  const env = { ...process.env, PORT: port, NODE_NAME: name, REDIS_URL: url, SESSION_SECRET }
  const node = fork(server, { env: { ...env, ...(pid !== undefined && { OWN_REDIS_PID: String(pid) }) } })
  nodes.push(node)
  // A node that has died takes the others along: half a cluster would only confuse.
  node.once('exit', (code) => {
    if (ending === undefined) process.exitCode = code ?? 1
    end()
  })
  const [ready] = (await once(node, 'message')) as [{ url: string }]
  return ready.url
}

function end(): void {
  // The nodes first: they say goodbye to their pages, and Redis goes with this process.
  ending ??= Promise.all(nodes.map(endOf)).then(() => process.exit())
}

async function endOf(node: ChildProcess): Promise<void> {
  if (node.exitCode !== null || node.signalCode !== null) return
  node.kill('SIGTERM')
  await once(node, 'exit')
}

function giveUp(error: Error): never {
  console.error(error.message)
  process.exit(1)
}
