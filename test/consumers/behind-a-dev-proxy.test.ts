import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createServer, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createServer as createViteServer, type ProxyOptions } from 'vite'
import { WebSocket } from 'ws'
import { startApp, type AppOptions } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { makeCertificate } from '../support/certificate.js'
import { open, refused } from '../support/client.js'
import { proxyToApp } from './proxy-before-the-app.js'

/** The app, and before it http-proxy-middleware on a server with a certificate. */
async function startBehindProxy(options: AppOptions = {}) {
  const app = await startApp({
    ...options,
    session: { cookie: { secure: true, maxAge: 3_600_000 }, rolling: true, proxy: true, ...options.session },
    bridge: { trustProxy: true, ...options.bridge },
  })
  const { cert, key } = await makeCertificate()
  const proxy = proxyToApp(`http://localhost:${app.port}`)
  const server = createServer({ cert, key }, (incoming, response) => {
    void proxy(incoming, response, () => response.end())
  })
  server.on('upgrade', proxy.upgrade)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  const host = `localhost:${(server.address() as AddressInfo).port}`

  const asked = request(`https://${host}/login?name=ada`, { method: 'POST', ca: cert, agent: false }).end()
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  response.resume()
  await once(response, 'end')
  const cookie = response.headers['set-cookie']?.[0]?.split(';', 1)[0]
  return { app, ca: cert, cookie, origin: `https://${host}`, wsUrl: `wss://${host}/ws` }
}

describe('behind http-proxy-middleware with changeOrigin', () => {
  it('a page gets in by the X-Forwarded-Host of proxyReqWs, and its secure cookie is renewed', async () => {
    const { ca, cookie, origin, wsUrl } = await startBehindProxy()
    const ws = new WebSocket(wsUrl, { headers: { cookie, origin }, ca })
    atEnd(() => ws.terminate())
    const [answer] = (await once(ws, 'upgrade')) as [IncomingMessage]
    expect(answer.headers['set-cookie']).toEqual([expect.stringMatching(/^connect\.sid=.*; Secure/)])
  })

  it('a page of another site does not, whatever it claims to be forwarded for', async () => {
    const { ca, cookie, wsUrl } = await startBehindProxy()
    const origin = 'https://evil.example'
    for (const headers of [{}, { 'X-Forwarded-Host': 'evil.example' }]) {
      expect((await refused(wsUrl, { cookie, origin, ca, headers })).status).toBe(403)
    }
  })

  it('no page gets in without trustProxy, since Host is the name of the app', async () => {
    const { ca, cookie, origin, wsUrl } = await startBehindProxy({ bridge: { trustProxy: false } })
    expect((await refused(wsUrl, { cookie, origin, ca })).status).toBe(403)
  })
})

describe("Express's trust proxy setting", () => {
  it.each([
    ['is not seen by the bridge: it renews no secure cookie on the 101', undefined, undefined],
    ['is not needed: `proxy: true` of the session options is seen by both', true, 1],
  ])('%s', async (_what, proxy, renewed) => {
    const app = await startApp({
      session: { cookie: { secure: true, maxAge: 3_600_000 }, rolling: true, ...(proxy && { proxy }) },
    })
    app.app.set('trust proxy', 1)
    const headers = { 'X-Forwarded-Proto': 'https' }
    const login = await fetch(`${app.url}/login?name=ada`, { method: 'POST', headers })
    await login.text()
    const cookie = login.headers.getSetCookie()[0]!.split(';', 1)[0]!
    const ws = new WebSocket(app.wsUrl, { headers: { ...headers, cookie } })
    atEnd(() => ws.terminate())
    const [answer] = (await once(ws, 'upgrade')) as [IncomingMessage]
    expect(answer.headers['set-cookie']?.length).toBe(renewed)
  })
})

describe('behind the proxy of a Vite dev server', () => {
  /** Vite on a port of its own, with the app's WebSocket path proxied. */
  async function startBehindVite(options: ProxyOptions = {}) {
    const app = await startApp()
    const root = await mkdtemp(join(tmpdir(), 'ws-session-bridge-vite-'))
    atEnd(() => rm(root, { recursive: true }))
    const target = `http://localhost:${app.port}`
    // #region docs
    const proxy = {
      '/ws': { target, ws: true }, // neither changeOrigin nor rewriteWsOrigin
    }
    // #endregion
    const vite = await createViteServer({
      root,
      logLevel: 'silent',
      server: { host: '127.0.0.1', proxy: { '/ws': { ...proxy['/ws'], ...options } } },
    })
    await vite.listen(0)
    atEnd(() => vite.close())
    const host = `127.0.0.1:${(vite.httpServer!.address() as AddressInfo).port}`
    return { app, cookie: await app.login('ada'), host, wsUrl: `ws://${host}/ws`, origin: `http://${host}` }
  }

  it('a page of the dev server gets in, and one of another site does not', async () => {
    const { cookie, wsUrl, origin } = await startBehindVite()
    const { ws } = await open(wsUrl, { cookie, origin })
    expect(ws.readyState).toBe(ws.OPEN)
    expect((await refused(wsUrl, { cookie, origin: 'http://evil.example' })).status).toBe(403)
  })

  it('no page gets in with changeOrigin alone', async () => {
    const { cookie, wsUrl, origin } = await startBehindVite({ changeOrigin: true })
    expect((await refused(wsUrl, { cookie, origin })).status).toBe(403)
  })

  it('every page of the web gets in with changeOrigin and rewriteWsOrigin', async () => {
    const { cookie, wsUrl } = await startBehindVite({ changeOrigin: true, rewriteWsOrigin: true })
    const { ws } = await open(wsUrl, { cookie, origin: 'http://evil.example' })
    expect(ws.readyState).toBe(ws.OPEN)
  })
})
