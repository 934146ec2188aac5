import { describe, expect, it } from 'vitest'
import { refused } from '../support/client.js'
import { startOnRedis } from './app-on-redis.js'

async function upgradeWith(raw: string) {
  const app = await startOnRedis()
  await app.client.set(app.keyOf('id'), raw)
  const { status } = await refused(app.wsUrl, { cookie: app.bridge.signedCookie('id') })
  return { app, status }
}

describe('a record in Redis that is no session', () => {
  it.each(['5', '{}', '{"user":"ada"}', '{"cookie":null}'])('is refused with 401, and a fault: %s', async (raw) => {
    const { app, status } = await upgradeWith(raw)
    expect(status).toBe(401)
    expect(app.refusals).toEqual([{ reason: 'no-session', status: 401 }])
    expect(app.faults).toHaveLength(1)
  })

  it('ends the sockets of the session that was there before', async () => {
    const app = await startOnRedis()
    await app.put('id', { user: 'ada' })
    const { ended } = await app.connect('id')
    await app.client.set(app.keyOf('id'), '5')
    expect((await ended).reason).toBe('destroyed')
  })
})

describe('a record in Redis that its serializer cannot read', () => {
  it('is no proof that there is no session: 503', async () => {
    const { app, status } = await upgradeWith('{ not JSON')
    expect(status).toBe(503)
    expect(app.refusals).toMatchObject([{ reason: 'store-failed', error: { code: 'STORE_UNAVAILABLE' } }])
  })
})
