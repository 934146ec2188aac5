// the code that docs/migration.md ends with.
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express, { type Application } from 'express'
import { MemoryStore } from 'express-session'
import { io as connect, type Socket } from 'socket.io-client'
import { describe, expect, it } from 'vitest'
import type { SessionBridge } from 'ws-session-bridge'
import { cookieOf } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { open, refused } from '../support/client.js'
import { sessionRoutes } from '../support/session-routes.js'
import { migrated as migratedExpressWs } from './from-express-ws.js'
import { migratedEngine, migratedMiddleware } from './from-socket.io.js'
import { migrated as migratedWsExample } from './from-ws-example.js'

const sessionOptions = () => ({
  store: new MemoryStore(),
  secret: 'a secret',
  resave: false,
  saveUninitialized: false,
})
const addLogin = (app: Application) => app.use(sessionRoutes())

async function listening(server: Server, bridge: SessionBridge) {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  atEnd(async () => {
    await bridge.close()
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const login = async () => cookieOf(await fetch(`${url}/login?name=ada`, { method: 'POST' }))
  return { url, wsUrl: url.replace('http', 'ws'), login }
}

describe('docs/migration.md', () => {
  it('keeps what the example of ws did, refuses a stranger and closes the socket at a logout', async () => {
    const { server, bridge } = migratedWsExample(sessionOptions(), addLogin)
    const { url, wsUrl, login } = await listening(server, bridge)
    expect((await refused(wsUrl)).status).toBe(401)
    const cookie = await login()
    const { ws, next, closed } = await open(wsUrl, { cookie })
    ws.send('hello')
    expect(await next()).toBe('hello from ada')
    await fetch(`${url}/logout`, { method: 'DELETE', headers: { cookie } })
    expect((await closed).code).toBe(4401)
  })

  it('keeps the routes of express-ws, and ends them with the session', async () => {
    const { server, bridge } = migratedExpressWs(sessionOptions(), addLogin)
    const { url, wsUrl, login } = await listening(server, bridge)
    expect((await refused(`${wsUrl}/chat`)).status).toBe(401)
    const cookie = await login()
    const { ws, next, closed } = await open(`${wsUrl}/chat`, { cookie })
    ws.send('who?')
    expect(await next()).toBe('You are ada')
    await fetch(`${url}/logout`, { method: 'POST', headers: { cookie } })
    expect((await closed).code).toBe(4401)
  })

  it.each([
    ['io.engine.use', migratedEngine],
    ['express-socket.io-session', migratedMiddleware],
  ])('keeps the events that came by %s, and disconnects at a logout', async (_name, migrate) => {
    const app = express()
    const server = createServer(app)
    const options = sessionOptions()
    const bridge = migrate(server, app, options)
    addLogin(app)
    const { url, login } = await listening(server, bridge)
    const cookie = await login()
    const socket: Socket = connect(url, { extraHeaders: { cookie }, forceNew: true })
    atEnd(() => socket.disconnect())
    await new Promise<void>((resolve) => socket.once('connect', resolve))
    if (migrate === migratedEngine) {
      expect(await socket.emitWithAck('whoami')).toBe('ada')
    } else {
      socket.emit('count')
      await once(bridge, 'change')
      expect([...bridge.connections()].map(({ session }) => session.views)).toEqual([1])
    }
    const disconnected = new Promise((resolve) => socket.once('disconnect', resolve))
    await fetch(`${url}/logout`, { method: 'POST', headers: { cookie } })
    expect(await disconnected).toBe('io server disconnect')
  })
})
