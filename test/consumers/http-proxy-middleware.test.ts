import { describe, expect, it } from 'vitest'
import { createProxyMiddleware } from 'http-proxy-middleware'
import { open } from '../support/client.js'
import { createGate } from '../support/gate.js'
import { proxyApi } from './http-proxy-middleware-app.js'
import { startShared, testSharedServer, type Join } from './shared-server.js'
import { startUpstream } from './upstream.js'

const joinProxy: Join = async ({ app, server }) => {
  const upstream = await startUpstream()
  proxyApi(app, server, upstream.target)
  return upstream
}

testSharedServer('http-proxy-middleware with pathFilter', joinProxy)

describe('http-proxy-middleware that is mounted', () => {
  it('takes the upgrades of the bridge: the bridge writes nothing behind its answer, and a fault says why', async () => {
    const gate = createGate()
    const { wsUrl, cookie, faults, refusals, bridge } = await startShared(joinMounted, {
      bridge: { authorize: () => gate.wait().then(() => true) },
    })
    const client = await open(`${wsUrl}/chat`, { cookie })
    expect(await client.next()).toBe('upstream: /chat')
    gate.open()
    await expect.poll(() => refusals).toMatchObject([{ reason: 'answered-elsewhere', status: 0 }])
    expect(client.ws.readyState).toBe(client.ws.OPEN)
    expect(bridge.stats()).toMatchObject({ accepted: 0, pending: 0, sockets: 0 })
    expect(faults).toHaveLength(1)
  })
})

const joinMounted: Join = async ({ app, server }) => {
  const upstream = await startUpstream()
  const proxy = createProxyMiddleware({ target: upstream.target, ws: true })
  app.use('/api', proxy)
  server.on('upgrade', proxy.upgrade)
  return upstream
}
