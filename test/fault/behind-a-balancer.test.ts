import { once } from 'node:events'
import { request } from 'node:https'
import { beforeAll, describe, expect, it } from 'vitest'
import type { IncomingMessage } from 'node:http'
import { WebSocket } from 'ws'
import { pingEvery } from '../recipes/ping.js'
import { startApp, type AppOptions } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { open, refused } from '../support/client.js'
import { startBalancer, type Balancer } from '../support/haproxy.js'

/** An app that the balancer takes for two nodes, and the balancer. */
async function startBehind(options: AppOptions = {}, change?: (config: string) => string) {
  const app = await startApp({
    ...options,
    session: { cookie: { secure: true, maxAge: 3_600_000 }, rolling: true, proxy: true },
    bridge: { trustProxy: true, ...options.bridge },
  })
  app.app.get('/ready', (_request, response) => void response.sendStatus(200))
  const balancer = await startBalancer([app.port, app.port], change)
  return { app, balancer, wsUrl: `wss://${balancer.host}/ws`, origin: `https://${balancer.host}` }
}

async function login({ host, ca }: Balancer): Promise<{ cookie: string; setCookie: string }> {
  const asked = request(`https://${host}/login?name=ada`, { method: 'POST', ca, agent: false }).end()
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  response.resume()
  await once(response, 'end')
  const [setCookie = ''] = response.headers['set-cookie'] ?? []
  return { cookie: setCookie.split(';', 1)[0]!, setCookie }
}

describe('behind a load balancer that ends TLS and rewrites Host', () => {
  let behind: Awaited<ReturnType<typeof startBehind>>
  let cookie: string
  beforeAll(async () => {
    behind = await startBehind()
    cookie = (await login(behind.balancer)).cookie
  })

  it('a page of the public name gets in, and its secure cookie is renewed on the 101', async () => {
    const { app, balancer, origin, wsUrl } = behind
    const arrived = once(app.server, 'upgrade') as Promise<[IncomingMessage]>
    const ws = new WebSocket(wsUrl, { headers: { cookie, origin }, ca: balancer.ca })
    atEnd(() => ws.terminate())
    const [answer] = (await once(ws, 'upgrade')) as [IncomingMessage]
    expect(answer.headers['set-cookie']).toEqual([expect.stringMatching(/^connect\.sid=.*; Secure/)])
    const [{ headers }] = await arrived
    expect(headers).toMatchObject({
      host: 'app.internal',
      'x-forwarded-host': balancer.host,
      'x-forwarded-proto': 'https',
    })
  })

  it('a page of another site does not, whatever it claims to be forwarded for', async () => {
    const { wsUrl } = behind
    const { ca } = behind.balancer
    for (const origin of [
      'https://evil.example',
      'https://app.internal',
      `http://127.0.0.1:${new URL(behind.origin).port}`,
    ]) {
      const { host } = new URL(origin)
      for (const headers of [{}, { 'X-Forwarded-Host': host }]) {
        expect(await refused(wsUrl, { cookie, origin, ca, headers })).toMatchObject({ status: 403 })
      }
    }
  })

  it('no client does without `trustProxy`, since Host is not what the page has', async () => {
    const { balancer, wsUrl, origin } = await startBehind({ bridge: { trustProxy: false } })
    const { cookie } = await login(balancer)
    expect(await refused(wsUrl, { cookie, origin, ca: balancer.ca })).toMatchObject({ status: 403 })
  })

  it('an idle socket is cut by the balancer, unless it is pinged', async () => {
    const shorter = (config: string) => config.replace('timeout tunnel 60s', 'timeout tunnel 3s')
    const silent = await startBehind({}, shorter)
    const pinged = await startBehind({}, shorter)
    atEnd(pingEvery(pinged.app.wss, 300))
    const [lost, kept] = await Promise.all(
      [silent, pinged].map(async ({ balancer, wsUrl, origin }) => {
        const { cookie } = await login(balancer)
        return await open(wsUrl, { cookie, origin, ca: balancer.ca })
      }),
    )
    expect(await lost!.closed).toMatchObject({ code: 1006 })
    await expect.poll(() => silent.app.bridge.stats()).toMatchObject({ sockets: 0, ended: { closed: 1 } })
    // As long again.
    for (let pings = 0; pings < 12; pings += 1) await once(kept!.ws, 'ping')
    expect(kept!.ws.readyState).toBe(kept!.ws.OPEN)
    expect(pinged.app.bridge.stats()).toMatchObject({ sockets: 1 })
  })

  it('a client that answers no ping is cut', async () => {
    const { app, balancer, wsUrl, origin } = await startBehind()
    atEnd(pingEvery(app.wss, 200))
    const { cookie } = await login(balancer)
    const client = await open(wsUrl, { cookie, origin, ca: balancer.ca })
    client.ws.pause()
    await expect.poll(() => app.bridge.stats().sockets).toBe(0)
  })
})
