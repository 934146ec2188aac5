import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { startApp } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { open, refused } from '../support/client.js'
import { forgedFrom } from '../support/forged-cookie.js'
import { startNginx } from '../support/nginx.js'

/** An app with secure cookies behind nginx, and a login through it. */
async function startBehindNginx(change?: (config: string) => string) {
  const app = await startApp({
    session: { cookie: { secure: true, maxAge: 3_600_000 }, rolling: true, proxy: true },
    onConnection: (ws, _request, context) => {
      ws.send(`Hello ${context.session.user ?? ''}`)
    },
  })
  const { host, ca } = await startNginx(app.port, change)
  const asked = request(`https://${host}/login?name=ada`, { method: 'POST', ca, agent: false }).end()
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  response.resume()
  await once(response, 'end')
  const cookie = response.headers['set-cookie']![0]!.split(';', 1)[0]!
  return { app, host, ca, cookie, wsUrl: `wss://${host}/ws`, origin: `https://${host}` }
}

describe('behind nginx that passes Host on with its port', () => {
  it('lets a page of its own in, and renews its secure cookie on the 101', async () => {
    const { wsUrl, cookie, origin, ca } = await startBehindNginx()
    const ws = new WebSocket(wsUrl, { headers: { cookie, origin }, ca })
    atEnd(() => ws.terminate())
    const [answer] = (await once(ws, 'upgrade')) as [IncomingMessage]
    expect(answer.headers['set-cookie']).toEqual([expect.stringMatching(/^connect\.sid=.*; Secure/)])
    const [greeting] = (await once(ws, 'message')) as [Buffer]
    expect(greeting.toString()).toBe('Hello ada')
  })

  it('refuses a page of another site, and a forged cookie', async () => {
    const { wsUrl, cookie, origin, ca } = await startBehindNginx()
    expect((await refused(wsUrl, { cookie, origin: 'https://evil.example', ca })).status).toBe(403)
    expect((await refused(wsUrl, { cookie, origin: 'https://localhost', ca })).status).toBe(403)
    expect((await refused(wsUrl, { cookie: forgedFrom(cookie), origin, ca })).status).toBe(401)
  })

  it('answers an unknown path, and tells open sockets of a shutdown', async () => {
    const { app, host, wsUrl, cookie, origin, ca } = await startBehindNginx()
    expect((await refused(`wss://${host}/nowhere`, { cookie, origin, ca })).status).toBe(404)
    const { closed } = await open(wsUrl, { cookie, origin, ca })
    await app.stop()
    expect((await closed).code).toBe(1001)
  })
})

describe('behind nginx that passes $host on', () => {
  it('refuses its own pages, and the refusal tells which host was compared with which', async () => {
    const { app, wsUrl, cookie, origin, ca, host } = await startBehindNginx((config) =>
      config.replace('$http_host', '$host'),
    )
    expect((await refused(wsUrl, { cookie, origin, ca })).status).toBe(403)
    expect(app.refusals).toMatchObject([{ reason: 'origin-denied', status: 403 }])
    const message = app.refusals[0]!.error?.message
    expect(message).toContain(host)
    expect(message).toContain('"localhost"')
    expect(message).not.toContain('connect.sid')
  })
})
