// none is left, and nobody else has lost one.
import { RedisStore } from 'connect-redis'
import { describe, expect, it } from 'vitest'
import { redisLiveStore } from 'ws-session-bridge/redis'
import { cookieOf, startApp } from '../support/app.js'
import { open, refused } from '../support/client.js'
import { startRedisStore } from '../support/redis.js'
import { redisSessionIndex, signIn, signOutEverywhere } from './sign-out-everywhere.js'

async function startTwoNodes() {
  const { client, prefix } = await startRedisStore()
  const index = redisSessionIndex(client, 3600, `${prefix}sessions-of:`)
  const startNode = async () => {
    const store = new RedisStore({ client, prefix })
    const node = await startApp({ store, bridge: { live: redisLiveStore(store) } })
    node.app.post('/sign-in/:user', async (request, response) => {
      await signIn(request, index, request.params.user)
      response.json({})
    })
    return node
  }
  const [one, two] = [await startNode(), await startNode()]
  const signInAt = async (node: typeof one, user: string) => cookieOf(await node.call('POST', `/sign-in/${user}`))
  return { client, index, prefix, one, two, signInAt }
}

describe('signing a user out everywhere', () => {
  it('ends all sessions of the user and their sockets, on every node, and no others', async () => {
    const { index, one, two, signInAt } = await startTwoNodes()
    const [phone, laptop, grace] = [
      await signInAt(one, 'Ada'),
      await signInAt(two, 'Ada'),
      await signInAt(two, 'Grace'),
    ]
    const sockets = [await open(one.wsUrl, { cookie: phone }), await open(two.wsUrl, { cookie: laptop })]
    const other = await open(two.wsUrl, { cookie: grace })

    expect(await signOutEverywhere(one.bridge, index, 'Ada')).toBe(2)
    expect((await Promise.all(sockets.map(({ closed }) => closed))).map(({ code }) => code)).toEqual([4401, 4401])
    for (const cookie of [phone, laptop]) expect((await refused(two.wsUrl, { cookie })).status).toBe(401)
    expect(other.ws.readyState).toBe(other.ws.OPEN)
    expect((await refused(one.wsUrl, { cookie: phone })).status).toBe(401)
    expect(await index.of('Ada')).toEqual([])
  })

  it('takes sessions in its stride that have expired meanwhile', async () => {
    const { client, index, prefix, one, signInAt } = await startTwoNodes()
    const cookie = await signInAt(one, 'Ada')
    await client.del(prefix + one.bridge.readSessionID(cookie)!)
    expect(await signOutEverywhere(one.bridge, index, 'Ada')).toBe(1)
    expect(await signOutEverywhere(one.bridge, index, 'Ada')).toBe(0)
  })

  it('keeps an index that is not forever', async () => {
    const { client, prefix, one, signInAt } = await startTwoNodes()
    await signInAt(one, 'Ada')
    expect(await client.ttl(`${prefix}sessions-of:Ada`)).toBeGreaterThan(3500)
  })
})
