/*
 * What a touch by `keepAlive` asks of Redis: its commands, and the invalidation messages that it sends back.
 */
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'

import type { Workload } from '../bench.js'
import { start } from '../process.js'
import { RedisTap } from '../redis-tap.js'
import { openRedisStore } from '../redis-store.js'
import type { ServerCalls, ServerSettings } from '../server.js'
import { fill } from '../sessions.js'
import { frameOf, open } from '../socket.js'

export const keepAlive: Workload = {
  name: 'keep-alive',
  async run(bench) {
    const count = bench.sized(500, 100)
    const title = `a touch by keepAlive, redisLiveStore, ${count} sessions one after another`
    bench.stage(title)
    const url = await bench.redisUrl()
    const redis = await openRedisStore(url)
    await fill(redis.store, count)
    const tap = await RedisTap.open(url)
    const settings: ServerSettings = {
      kind: 'bridge',
      sessions: 0,
      redis: { url: tap.url, prefix: redis.prefix, live: true },
    }
    const server = await start<ServerCalls>('server.js', settings)
    const port = await server.call('port', undefined)
    const clients = await Promise.all(Array.from({ length: count }, (_, index) => open({ port, index })))
    // What the handshakes still have under way.
    await pause(500)
    const [commands, reports] = [await redis.info('total_commands_processed'), tap.reports]
    const message = frameOf('hello')
    for (const client of clients) {
      // The first message of a session touches it at once.
      client.write(message)
      await once(client, 'data')
      await pause(2)
    }
    await pause(500)
    // INFO itself, at the beginning, is none of theirs.
    const perTouch = ((await redis.info('total_commands_processed')) - commands - 1) / count
    const reported = (tap.reports - reports) / count
    await server.end()
    await tap.close()
    await redis.close()
    bench.add({
      workload: 'keep-alive',
      title,
      columns: [{ name: 'for a touch', digits: 2 }],
      rows: [
        { name: 'Redis commands', values: [perTouch] },
        { name: 'invalidation messages from Redis', values: [reported] },
      ],
      aims: [
        { what: 'Redis commands', atMost: 2, got: perTouch },
        { what: 'invalidation messages', atMost: 0, got: reported },
      ],
      note: 'The first message of each session touches it.',
    })
  },
}
