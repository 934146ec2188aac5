// a WebSocket server in another place, which only ever sees who was authenticated here.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'
import { startApp } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { open, refused } from '../support/client.js'
import { upgradeRequest } from '../support/raw-request.js'
import { proxyUpgrades } from './proxied-upgrade.js'

async function startProxy() {
  const app = await startApp()
  const upstream = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(upstream, 'listening')
  upstream.on('connection', (ws, { headers }) => {
    ws.on('message', (data: Buffer) => {
      ws.send(`${data.toString()} from ${String(headers['x-user'])}, cookie ${String(headers.cookie)}`)
    })
  })
  const server = createServer()
  const { port } = upstream.address() as AddressInfo
  proxyUpgrades(server, app.bridge, { host: '127.0.0.1', port })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  atEnd(() => {
    for (const ws of upstream.clients) ws.terminate()
    upstream.close()
    server.close()
  })
  return { ...app, upstream, proxied: server, url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/chat` }
}

describe('an upgrade that is authenticated and then proxied', () => {
  it('reaches the upstream with the user in place of the cookie, which a client cannot forge', async () => {
    const { url, login } = await startProxy()
    const { ws, next } = await open(url, { cookie: await login('Ada'), headers: { 'X-User': 'root' } })
    ws.send('hello')
    expect(await next()).toBe('hello from Ada, cookie undefined')
  })

  it('is refused before the upstream hears of it', async () => {
    const { url, upstream } = await startProxy()
    expect((await refused(url)).status).toBe(401)
    expect(upstream.clients.size).toBe(0)
  })

  it('that is refused is closed soon, whether its client leaves or stays', async () => {
    const { url, proxied } = await startProxy()
    for (const leaves of [true, false]) {
      const accepted = once(proxied, 'connection') as Promise<[Socket]>
      const client = connect({ port: Number(new URL(url).port), host: '127.0.0.1', allowHalfOpen: true })
      client.write(upgradeRequest({}))
      const [socket] = await accepted
      const closed = once(socket, 'close')
      expect(String(await once(client, 'data'))).toContain('401 Unauthorized')
      client.on('error', () => undefined)
      if (leaves) client.end('what is never read')
      await closed
      client.destroy()
    }
  })

  it('is cut on both sides by a logout', async () => {
    const { url, login, call, upstream } = await startProxy()
    const cookie = await login('Ada')
    const { closed } = await open(url, { cookie })
    const [inside] = [...upstream.clients]
    const gone = once(inside!, 'close')
    await call('POST', '/logout', cookie)
    expect((await closed).code).toBe(1006)
    await gone
  })
})
