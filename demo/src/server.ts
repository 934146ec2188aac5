/*
 * `npm run demo`, and each node of `npm run demo:cluster`.
 */
import { startDemo, type Demo, type DemoOptions } from './app.js'
import { inMemory, onRedis } from './session-backend.js'
import { onShutdown } from './on-shutdown.js'
import { stoppable } from './own-redis.js'

const { PORT = '3000', REDIS_URL, SESSION_SECRET, NODE_NAME, OWN_REDIS_PID } = process.env
const ownRedis = OWN_REDIS_PID === undefined ? undefined : stoppable(Number(OWN_REDIS_PID))

const demo = await startOnFreePort(Number(PORT), {
  backend: REDIS_URL ? await onRedis(REDIS_URL) : inMemory(),
  stopRedis: ownRedis?.stopFor,
  ...(SESSION_SECRET && { secret: SESSION_SECRET }),
  ...(NODE_NAME && { node: NODE_NAME }),
})

let ending: Promise<void> | undefined
onShutdown(end)

if (process.send === undefined) {
  console.log(`Open ${demo.url} (sessions in ${REDIS_URL ? 'Redis' : 'memory'}; Ctrl+C ends it).`)
} else {
  process.once('disconnect', endAlone)
  process.send({ url: demo.url })
}

function end(): void {
  ending ??= demo.close().then(() => {
    process.off('disconnect', endAlone)
    if (process.connected) process.disconnect()
  })
}

/* The cluster's own process has gone without a word. No other process would end this one, or its Redis. */
function endAlone(): void {
  end()
  void ending?.finally(() => ownRedis?.kill())
}

async function startOnFreePort(port: number, options: DemoOptions): Promise<Demo> {
  try {
    return await startDemo({ ...options, port })
  } catch (error) {
    if (!isPortTaken(error) || port >= 65_535) throw error
    return startOnFreePort(port + 1, options)
  }
}

function isPortTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
}
