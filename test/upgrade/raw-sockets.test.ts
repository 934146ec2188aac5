// whatever listens on the server, a client that leaves at any moment must do no harm.
import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { MemoryStore } from 'express-session'
import { Server } from 'socket.io'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { attachSocketIO } from 'ws-session-bridge/socket.io'
import { startApp, type App } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { createGate, gatedStore } from '../support/gate.js'
import { rawRequest, upgradeRequest, type RawRequest } from '../support/raw-request.js'
import { until } from '../live/bound.js'
import { closing, hasFin } from './raw-socket.js'

/** How a client leaves. Resolves when the server has it. */
const departures: Record<string, (client: RawRequest, socket: Socket) => Promise<void>> = {
  async reset(client, socket) {
    const closed = closing(socket)
    client.socket.resetAndDestroy()
    await closed
  },
  async FIN(client, socket) {
    client.socket.end()
    await hasFin(socket)
  },
  async 'FIN behind unread bytes'(client, socket) {
    client.socket.end('unread')
    await hasFin(socket)
  },
}

interface Held {
  readonly app: App
  readonly path: string
  readonly cookie: string
  /** Resolves when the upgrade has come to where it waits. */
  readonly arrived: Promise<void>
  open(): void
}

async function startHeld(where: 'call' | 'answer' = 'call') {
  const { store, hold } = gatedStore(new MemoryStore())
  const app = await startApp({ store, bridge: { handshakeTimeoutMs: 500 } })
  const cookie = await app.login('ada')
  return { app, cookie, hold: () => hold('get', where) }
}

/** What has the raw socket while the client leaves. */
const holders: Record<string, () => Promise<Held>> = {
  async 'attach(), at an unclaimed path beside a second listener'() {
    const { app, cookie } = await startHeld()
    const gate = createGate()
    app.server.on('upgrade', () => void gate.wait())
    return { app, path: '/nowhere', cookie, arrived: gate.arrived, open: gate.open }
  },
  async 'attach(), while the store is asked'() {
    const { app, cookie, hold } = await startHeld()
    const gate = hold()
    return { app, path: '/ws', cookie, arrived: gate.arrived, open: gate.open }
  },
  async 'handleUpgrade(), while the store is asked'() {
    const { app, cookie, hold } = await startHeld('answer')
    app.server.removeAllListeners('upgrade').on('upgrade', (request, socket, head) => {
      app.bridge.handleUpgrade(app.wss, request, socket, head)
    })
    const gate = hold()
    return { app, path: '/ws', cookie, arrived: gate.arrived, open: gate.open }
  },
  async 'authenticate(), while the store is asked'() {
    const { app, cookie, hold } = await startHeld()
    app.server.removeAllListeners('upgrade').on('upgrade', (request, socket: Duplex) => {
      void app.bridge.authenticate(request).then(() => socket.end())
    })
    const gate = hold()
    return { app, path: '/ws', cookie, arrived: gate.arrived, open: gate.open }
  },
  async 'Socket.IO, while a middleware of the engine that was there first takes its time'() {
    const { app, cookie } = await startHeld()
    const io = new Server(app.server)
    const gate = createGate()
    io.engine.use((_request: unknown, _response: unknown, next: () => void) => void gate.wait().then(next))
    attachSocketIO(app.bridge, io)
    atEnd(() => io.engine.close())
    return { app, path: '/socket.io/?EIO=4&transport=websocket', cookie, arrived: gate.arrived, open: gate.open }
  },
  async 'Socket.IO, while the store is asked'() {
    const { app, cookie, hold } = await startHeld()
    const io = new Server(app.server)
    attachSocketIO(app.bridge, io)
    atEnd(() => io.engine.close())
    const gate = hold()
    return { app, path: '/socket.io/?EIO=4&transport=websocket', cookie, arrived: gate.arrived, open: gate.open }
  },
}

async function holdUpgrade(start: () => Promise<Held>) {
  const held = await start()
  const { app, path, cookie } = held
  const connection = once(app.server, 'connection') as Promise<[Socket]>
  const client = rawRequest(app.port, upgradeRequest({ path, cookie, host: `127.0.0.1:${app.port}` }))
  const [socket] = await connection
  return { ...held, client, socket }
}

const uncaught: Error[] = []
const note = (error: Error) => void uncaught.push(error)
beforeEach(() => void process.on('uncaughtExceptionMonitor', note))
afterEach(() => {
  process.off('uncaughtExceptionMonitor', note)
  uncaught.length = 0
})

describe.each(Object.entries(holders))('with %s,', (_holder, start) => {
  it.each(Object.entries(departures))('a client that leaves by %s does not crash the process', async (_way, leave) => {
    const { app, arrived, open, client, socket } = await holdUpgrade(start)
    await arrived
    await leave(client, socket)
    open()
    await until(() => app.bridge.stats().pending === 0)
    await until(() => app.bridge.stats().sockets === 0)
    expect(uncaught).toEqual([])
  })

  it.each(Object.entries(departures))(
    'a client that leaves by %s is forgotten, and the server can close',
    async (_way, leave) => {
      const { app, arrived, client, socket } = await holdUpgrade(start)
      await arrived
      await leave(client, socket)
      await expect.poll(() => socket.closed).toBe(true)
      await until(() => app.bridge.stats().pending === 0)
      const closed = once(app.server, 'close')
      app.server.close()
      await closed
    },
  )

  it('a client that stays, and that no listener answers, gets an answer within the deadline', async () => {
    const { arrived, client } = await holdUpgrade(start)
    await arrived
    expect(await client.received()).toMatch(/^HTTP\/1\.1 (?:404|503|400) |^$/)
  })
})
