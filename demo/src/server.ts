/*
 * `npm run demo`.
 * In: PORT, REDIS_URL and SESSION_SECRET, none of them needed. Out: the demo, until Ctrl+C.
 */
import { MemoryStore, type Store } from 'express-session'

import { startDemo, type Demo, type DemoOptions } from './app.js'

const { PORT = '3000', REDIS_URL, SESSION_SECRET } = process.env

const { store, disconnect } = await connectStore(REDIS_URL)
const demo = await startOnFreePort(Number(PORT), { store, ...(SESSION_SECRET && { secret: SESSION_SECRET }) })
console.log(`Open ${demo.url} (sessions in ${REDIS_URL ? 'Redis' : 'memory'}; Ctrl+C ends it).`)

// Once: a second Ctrl+C ends the process at once.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void end())

async function end(): Promise<void> {
  await demo.close()
  disconnect()
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

async function connectStore(url: string | undefined): Promise<{ store: Store; disconnect: () => void }> {
  if (!url) return { store: new MemoryStore(), disconnect: () => undefined }
  // Only now, so that an app without Redis needs neither package.
  const { createClient } = await import('redis')
  const { RedisStore } = await import('connect-redis')
  const client = createClient({ url })
  // node-redis connects again by itself; without a listener its error would end the process.
  client.on('error', (error: Error) => {
    console.error('Redis:', error.message)
  })
  await client.connect()
  return { store: new RedisStore({ client, prefix: 'ws-session-bridge-demo:' }), disconnect: () => client.destroy() }
}
