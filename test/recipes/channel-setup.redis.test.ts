// The code of docs/channels.md.
import { promisify } from 'node:util'
import { MemoryStore, type Store } from 'express-session'
import { expect, it } from 'vitest'
import type { SessionBridge, SessionContext } from 'ws-session-bridge'
import { requestWith } from '../authenticate/request.js'
import { PlainConnection } from '../live/bound.js'
import { recordOf } from '../store/live-store-suite.js'
import { atEnd } from '../support/at-end.js'
import { startPostgresServer } from '../support/postgres.js'
import { redisUrl } from '../support/redis.js'
import { announceOnRedisChannel, bridgeOnPostgres, bridgeOnRedisChannel, migrate } from './channel-setup.js'

const secret = 'a secret'
const sessionOptions = { secret, resave: false, saveUninitialized: false }

async function connected(bridge: SessionBridge, sessionID: string): Promise<SessionContext> {
  const verdict = await bridge.authenticate(requestWith({ cookie: bridge.signedCookie(sessionID) }))
  if (!verdict.accepted || verdict.context === undefined) throw new Error('The session was refused.')
  bridge.bind(verdict.context, new PlainConnection())
  return verdict.context
}

const ended = (context: SessionContext) => expect.poll(() => context.ended?.reason).toBe('destroyed')

it('announces on a Redis channel what a process without a bridge does to the store', async () => {
  // Two processes with one store: each hears its own calls only.
  const sessions = {}
  const [here, elsewhere] = [new MemoryStore(), new MemoryStore()].map((store) => Object.assign(store, { sessions }))
  const { bridge, client } = await bridgeOnRedisChannel({ ...sessionOptions, store: here }, redisUrl())
  const other = await announceOnRedisChannel(elsewhere as Store, secret, redisUrl())
  atEnd(async () => {
    other.stop()
    await bridge.close()
    await Promise.all([client.close(), other.client.close()])
  })
  await promisify((elsewhere as Store).set.bind(elsewhere))('a-session', recordOf({ user: 'Ada' }))
  const context = await connected(bridge, 'a-session')
  await promisify((elsewhere as Store).destroy.bind(elsewhere))('a-session')
  await ended(context)
})

it('hears on PostgreSQL what any writer does to the table', async () => {
  const { url } = await startPostgresServer()
  const { bridge, pool, store } = await bridgeOnPostgres(sessionOptions, url)
  atEnd(async () => {
    await bridge.close()
    store.close()
    await pool.end()
  })
  await promisify(store.set.bind(store))('a-session', recordOf({ user: 'Ada' }))
  await migrate(pool)
  const context = await connected(bridge, 'a-session')
  await pool.query("DELETE FROM session WHERE sid = 'a-session'")
  await ended(context)
})
