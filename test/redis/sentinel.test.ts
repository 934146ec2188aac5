import { beforeAll, describe, expect, it } from 'vitest'
import { redisLiveStore } from 'ws-session-bridge/redis'
import { startApp } from '../support/app.js'
import { open, refused } from '../support/client.js'
import { startSentinel, startSentinelStore } from './sentinel-servers.js'
import { describeLiveStore } from '../store/live-store-suite.js'

describe('a master behind a Sentinel', () => {
  let servers: Awaited<ReturnType<typeof startSentinel>>
  beforeAll(async () => {
    servers = await startSentinel()
  })

  describeLiveStore('redisLiveStore on a Sentinel', async () => {
    const { store } = await startSentinelStore(servers)
    return { store, live: redisLiveStore(store) }
  })
})

describe('a master that is gone', () => {
  it('is followed by its replica: sockets stay, and changes are heard again', async () => {
    const servers = await startSentinel({ failsOver: true })
    const { client, store } = await startSentinelStore(servers)
    const app = await startApp({ store, bridge: { live: redisLiveStore(store, { timeoutMs: 1_000 }) } })
    const cookie = await app.login('ada')
    const { closed, ws } = await open(app.wsUrl, { cookie })
    const [context] = [...app.bridge.connections()]
    await client._execute(false, (each) => each.sendCommand(['WAIT', '1', '1000']))

    servers.master.kill('SIGKILL')
    const accepted = async () => (await open(app.wsUrl, { cookie }).catch(() => undefined)) !== undefined
    await expect.poll(async () => (await refused(app.wsUrl, { cookie })).status).toBe(503)
    await expect.poll(accepted, { timeout: 20_000 }).toBe(true)
    expect(context!.ended).toBeUndefined()
    expect(ws.readyState).toBe(ws.OPEN)

    await expect.poll(() => client.isReady, { timeout: 10_000 }).toBe(true)
    await app.call('POST', '/set?key=role&value=admin', cookie)
    await expect.poll(() => context!.session.role).toBe('admin')
    await context!.update((draft) => void (draft.views = 1))
    await app.call('POST', '/logout', cookie)
    expect((await closed).code).toBe(4401)
    expect(app.faults).toEqual([])
  })
})
