// what docs/comparison.md says of it.
import { once } from 'node:events'
import { createServer, ServerResponse, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parse } from 'cookie'
import { unsign } from 'cookie-signature'
import express, { type Request, type RequestHandler, type Response } from 'express'
import session, { MemoryStore, type Session, type SessionData } from 'express-session'
import { Server as SocketIOServer, type Socket } from 'socket.io'
import { io as connectSocketIO } from 'socket.io-client'
import { describe, expect, it } from 'vitest'
import { WebSocketServer, type WebSocket } from 'ws'
import { cookieOf } from './support/app.js'
import { atEnd } from './support/at-end.js'
import { open } from './support/client.js'
import { sessionRoutes } from './support/session-routes.js'

const secret = 'a secret'
const forged = 'connect.sid=s%3Aforged.signature'
type WithSession = IncomingMessage & { session: Session & Partial<SessionData> }

/** An app with sessions, and its middleware for whoever wants to use it again. */
async function startApp() {
  const store = new MemoryStore()
  const middleware = session({ store, secret, resave: false, saveUninitialized: false })
  const app = express().use(middleware).use(sessionRoutes())
  const server = createServer(app)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  const login = async () => cookieOf(await fetch(`${url}/login?name=ada`, { method: 'POST' }))
  const logout = async (cookie: string) =>
    (await fetch(`${url}/logout`, { method: 'POST', headers: { cookie } })).text()
  const stored = () => new Promise<number>((resolve) => store.length((_error, length) => resolve(length ?? 0)))
  return { store, middleware, server, url, wsUrl: `ws://127.0.0.1:${port}/`, login, logout, stored }
}

/** As the example of ws does it: the middleware once more, on the upgrade. */
function replayOn(server: Server, middleware: RequestHandler): WebSocketServer {
  const wss = new WebSocketServer({ noServer: true })
  server.on('upgrade', (request, socket, head) => {
    middleware(request as Request, new ServerResponse(request) as Response, () => {
      if (!(request as Partial<WithSession>).session) return void socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n')
      wss.handleUpgrade(request, socket, head, (ws) => wss.emit('connection', ws, request))
    })
  })
  return wss
}

async function startReplay() {
  const app = await startApp()
  const wss = replayOn(app.server, app.middleware)
  const connected = async (cookie: string, origin?: string) => {
    const connection = once(wss, 'connection') as Promise<[WebSocket, WithSession]>
    const client = await open(app.wsUrl, { cookie, origin })
    const [ws, request] = await connection
    return { client, ws, request }
  }
  return { ...app, connected }
}

describe('the express-session middleware, replayed on the upgrade', () => {
  it('gives a forged cookie a fresh session, so that asking whether there is one refuses no client', async () => {
    const { connected } = await startReplay()
    const { request } = await connected(forged)
    expect(request.session).toBeTruthy()
    expect(request.session.user).toBeUndefined()
  })

  it('lets a page of any origin in', async () => {
    const { connected, login } = await startReplay()
    const { request } = await connected(await login(), 'https://evil.test')
    expect(request.session.user).toBe('ada')
  })

  it('leaves the socket open after a logout, with the session of the handshake', async () => {
    const { connected, login, logout, stored } = await startReplay()
    const cookie = await login()
    const { client, ws, request } = await connected(cookie)
    await logout(cookie)
    expect(await stored()).toBe(0)
    const message = once(ws, 'message')
    client.ws.send('still here')
    await message
    expect(request.session.user).toBe('ada')
  })

  it('brings a session back that has logged out, by a save() from the socket', async () => {
    const { connected, login, logout, stored } = await startReplay()
    const cookie = await login()
    const { request } = await connected(cookie)
    await logout(cookie)
    expect(await stored()).toBe(0)
    await new Promise<void>((resolve) => request.session.save(() => resolve()))
    expect(await stored()).toBe(1)
  })
})

describe('io.engine.use(session())', () => {
  async function startSocketIO() {
    const app = await startApp()
    const io = new SocketIOServer(app.server)
    io.engine.use(app.middleware)
    atEnd(() => io.close())
    const connected = async (cookie: string, origin: string) => {
      const connection = once(io, 'connection') as Promise<[Socket]>
      const client = connectSocketIO(app.url, { transports: ['websocket'], extraHeaders: { cookie, origin } })
      atEnd(() => client.disconnect())
      const [socket] = await connection
      return { client, socket, session: (socket.request as WithSession).session }
    }
    return { ...app, connected }
  }

  it('gives a forged cookie a fresh session, and lets it in', async () => {
    const { connected, url } = await startSocketIO()
    const { session: fresh } = await connected(forged, url)
    expect(fresh).toBeTruthy()
    expect(fresh.user).toBeUndefined()
  })

  it('lets a page of any origin in by WebSocket: its `cors` option is for the other transport', async () => {
    const { connected, login } = await startSocketIO()
    const { session: stolen } = await connected(await login(), 'https://evil.test')
    expect(stolen.user).toBe('ada')
  })

  it('leaves the socket open after a logout, with the session of the handshake', async () => {
    const { connected, login, logout, stored, url } = await startSocketIO()
    const cookie = await login()
    const { client, socket, session: copy } = await connected(cookie, url)
    await logout(cookie)
    expect(await stored()).toBe(0)
    const heard = new Promise((resolve) => socket.once('hello', resolve))
    client.emit('hello')
    await heard
    expect(copy.user).toBe('ada')
  })
})

describe('parse, unsign and get, by hand', () => {
  it('refuses a forged cookie, and is a copy of the session from then on', async () => {
    const { store, login, logout } = await startApp()
    const sessionOf = (header: string) => {
      const id = unsign((parse(header)['connect.sid'] ?? '').slice(2), secret)
      return new Promise<SessionData | undefined>((resolve) => {
        if (id === false) return resolve(undefined)
        store.get(id, (_error, record) => resolve(record ?? undefined))
      })
    }
    expect(await sessionOf(forged)).toBeUndefined()
    const cookie = await login()
    const copy = await sessionOf(cookie)
    await logout(cookie)
    expect(copy?.user).toBe('ada')
    expect(await sessionOf(cookie)).toBeUndefined()
  })
})
