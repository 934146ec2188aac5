// the lines of docs/redis.md that make a store live.
import { expect, it } from 'vitest'
import { atEnd } from '../support/at-end.js'
import { redisUrl, startRedisCluster } from '../support/redis.js'
import { recordOf } from '../store/live-store-suite.js'
import { onCluster, onOneServer } from './redis-setup.js'

const record = recordOf({ user: 'Ada' }, 60_000)

it.each([
  ['one server', () => onOneServer(redisUrl())],
  ['a Cluster', async () => onCluster((await startRedisCluster()).rootNodes)],
])('reads a session on %s', async (_name, set) => {
  const { client, store, live } = await set()
  atEnd(async () => {
    await live.close()
    await client.close()
  })
  const sessionID = `docs-${process.pid}`
  await store.set(sessionID, record)
  expect((await live.get(sessionID))?.record.user).toBe('Ada')
  await store.destroy(sessionID)
  expect(await live.get(sessionID)).toBeUndefined()
})
