/*
 * A process with many sockets: `redis.ts` starts it.
 * In: a Redis server and a prefix, as JSON. Out: its port, then when it heard of what, by the clock of the machine.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import { RedisStore } from 'connect-redis'
import { createClient } from 'redis'
import { WebSocketServer } from 'ws'
import { createSessionBridge } from 'ws-session-bridge'
import { redisLiveStore } from 'ws-session-bridge/redis'

/** What it tells of a session: `at` is in ms since the epoch, with fractions. */
export interface Heard {
  readonly sessionID: string
  readonly what: string
  readonly at: number
}

const { url, prefix, secret } = JSON.parse(process.argv[2] ?? '{}') as Record<'url' | 'prefix' | 'secret', string>
const store = new RedisStore({ client: await createClient({ url }).connect(), prefix })
const bridge = createSessionBridge({ session: { store, secret }, live: redisLiveStore(store) })

const tell = (sessionID: string, what: string): void => {
  process.send?.({ sessionID, what, at: performance.timeOrigin + performance.now() } satisfies Heard)
}
bridge.on('change', ({ sessionID }) => {
  tell(sessionID, 'change')
})
bridge.on('end', ({ sessionID }, { reason }) => {
  tell(sessionID, reason)
})
process.on('disconnect', () => process.exit())

const server = createServer()
bridge.attach(server, new WebSocketServer({ noServer: true }))
server.listen(0, '127.0.0.1', () => {
  process.send?.((server.address() as AddressInfo).port)
})
