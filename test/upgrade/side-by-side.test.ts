import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'
import { createSessionBridge, type SessionBridgeOptions } from 'ws-session-bridge'
import { startApp, type App } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { open, refused, type Client } from '../support/client.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'

function bridgeOn(
  app: App,
  session: Partial<SessionBridgeOptions['session']>,
  options?: Partial<SessionBridgeOptions>,
) {
  const bridge = createSessionBridge({ ...options, session: { ...app.sessionOptions, ...session } })
  atEnd(() => bridge.close())
  return bridge
}

/** Two bridges with three mounts on one server: /chat and /rooms/… of the first, /admin of the second. */
async function startThree() {
  const app = await startApp({ mount: { path: '/chat' }, session: { rolling: true } })
  const second = bridgeOn(app, { rolling: false }, { refuseWith: 'close', authorize: ({ role }) => role === 'admin' })
  const [rooms, admin] = [new WebSocketServer({ noServer: true }), new WebSocketServer({ noServer: true })]
  app.bridge.attach(app.server, rooms, { path: /^\/rooms\/\w+$/ })
  second.attach(app.server, admin, { path: '/admin' })
  for (const [name, wss] of Object.entries({ chat: app.wss, rooms, admin })) {
    wss.on('connection', (ws) => {
      ws.send(name)
      ws.on('message', (data: Buffer) => {
        ws.send(`${name}: ${data.toString()}`)
      })
    })
  }
  return { app, second, at: (path: string) => `ws://127.0.0.1:${app.port}${path}` }
}

/** A listener that upgrades its own path, and leaves the others alone. */
function addForeign({ server }: App): () => void {
  const wss = new WebSocketServer({ noServer: true })
  const listener = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (request.url !== '/foreign') return
    wss.handleUpgrade(request, socket, head, (ws) => {
      ws.send('foreign')
    })
  }
  server.on('upgrade', listener)
  return () => server.off('upgrade', listener)
}

const greetings = (clients: Client[]) => Promise.all(clients.map((client) => client.next()))

describe('two bridges, three mounts and a foreign listener on one server', () => {
  it('each get their own sockets, opened at the same time', async () => {
    const { app, second, at } = await startThree()
    addForeign(app)
    const cookie = await app.login('ada', 'admin')
    const paths = ['/chat', '/rooms/one', '/admin', '/foreign', '/rooms/two']
    const clients = await Promise.all(paths.map((path) => open(at(path), { cookie })))
    expect(await greetings(clients)).toEqual(['chat', 'rooms', 'admin', 'foreign', 'rooms'])
    for (const [index, client] of clients.entries()) client.ws.send(String(index))
    expect(await greetings([clients[0]!, clients[2]!, clients[4]!])).toEqual(['chat: 0', 'admin: 2', 'rooms: 4'])
    expect([app.bridge.stats().sockets, second.stats().sockets]).toEqual([3, 1])
    expect([app.bridge.stats().refused, second.stats().refused].flatMap(Object.values)).not.toContain(1)
  })

  it('each refuse in their own way, and renew cookies by their own rules', async () => {
    const { app, second, at } = await startThree()
    addForeign(app)
    const cookie = await app.login('bob')
    expect((await refused(at('/chat'))).status).toBe(401)
    expect((await refused(at('/rooms/one'))).status).toBe(401)
    expect((await (await open(at('/admin'), { cookie })).closed).code).toBe(4403)
    expect([app.bridge.stats().refused['no-cookie'], second.stats().refused.forbidden]).toEqual([2, 1])
    const headOf = (path: string, who: string) =>
      rawRequest(app.port, upgradeRequest({ path, cookie: who })).receivedUntil('\r\n\r\n')
    const admin = await app.login('ada', 'admin')
    expect(await headOf('/chat', admin)).toMatch(/^Set-Cookie: /m)
    expect(await headOf('/admin', admin)).not.toMatch(/^Set-Cookie: /m)
  })

  it('leave a path that none of them has to whoever else listens, and answer 404 once no one is left', async () => {
    const { app, at } = await startThree()
    const remove = addForeign(app)
    let heard!: () => void
    const asked = new Promise<void>((resolve) => (heard = resolve))
    app.server.once('upgrade', (_request: IncomingMessage, socket: Duplex) => {
      socket.end('HTTP/1.1 418 A teapot\r\nConnection: close\r\n\r\n')
      heard()
    })
    const unclaimed = rawRequest(app.port, upgradeRequest({ path: '/nowhere' }))
    await asked
    expect(await unclaimed.received()).toBe('HTTP/1.1 418 A teapot\r\nConnection: close\r\n\r\n')
    remove()
    expect((await refused(at('/nowhere'))).status).toBe(404)
    expect(app.server.listenerCount('upgrade')).toBe(1)
  })

  it('go one by one: what one bridge closes stays open in the others', async () => {
    const { app, second, at } = await startThree()
    addForeign(app)
    const cookie = await app.login('ada', 'admin')
    const [chat, admin, foreign] = [
      await open(at('/chat'), { cookie }),
      await open(at('/admin'), { cookie }),
      await open(at('/foreign')),
    ]
    await second.close()
    expect((await admin.closed).code).toBe(1001)
    expect([chat, foreign].map(({ ws }) => ws.readyState)).toEqual([1, 1])
    expect(await (await open(at('/rooms/one'), { cookie })).next()).toBe('rooms')
    expect(await (await open(at('/foreign'))).next()).toBe('foreign')
  })

  it('end all the sockets of a session that logs out, whichever bridge let them in', async () => {
    const { app, at } = await startThree()
    const cookie = await app.login('ada', 'admin')
    const clients = await Promise.all(['/chat', '/admin'].map((path) => open(at(path), { cookie })))
    await app.call('POST', '/logout', cookie)
    expect((await Promise.all(clients.map(({ closed }) => closed))).map(({ code }) => code)).toEqual([4401, 4401])
  })
})
