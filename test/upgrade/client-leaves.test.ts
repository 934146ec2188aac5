import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { startApp } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { open } from '../support/client.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'
import { awaits, holdHandshake, nextRefusal, type HeldHandshake } from './held-handshake.js'
import { hasFin, listenersOf } from './raw-socket.js'

/** What a dead socket has of listeners where only Node and an empty upgrade listener touched it. */
let untouched: Record<string, number>

beforeAll(async () => {
  const server = await startServer()
  const upgrade = once(server, 'upgrade') as Promise<[unknown, Socket]>
  rawRequest(portOf(server), upgradeRequest())
  const [, socket] = await upgrade
  socket.destroy()
  await once(socket, 'close')
  untouched = listenersOf(socket)
})

/** No client was let in, nothing is kept, and the next handshake works. */
async function expectNothingLeft({ app, cookie, gate, socket, closed, connected }: HeldHandshake): Promise<void> {
  expect(app.refusals).toEqual([{ reason: 'client-gone', status: 0 }])
  expect(app.bridge.stats()).toMatchObject({ pending: 0, sockets: 0, accepted: 0 })
  await closed
  // The one that is left keeps a late error of a dead socket from being uncaught; it holds nothing.
  expect({ ...listenersOf(socket), error: 0 }).toEqual({ ...untouched, error: 0 })
  expect(socket.listenerCount('error')).toBe(1)

  gate.open()
  await open(app.wsUrl, { cookie })
  expect(connected).toHaveBeenCalledOnce()
  expect(app.bridge.stats()).toMatchObject({ pending: 0, sockets: 1, accepted: 1 })
  expect(app.refusals).toHaveLength(1)
  expect(app.faults).toEqual([])
}

describe.each(awaits)('a client that leaves during the handshake, at %s', (where) => {
  it('crashes nothing and gives its place back when it resets the connection', async () => {
    const held = await holdHandshake(where)
    const refusal = nextRefusal(held.app.bridge)
    held.client.socket.resetAndDestroy()
    await refusal
    await expectNothingLeft(held)
  })

  it('gives its place back when it closes its side', async () => {
    const held = await holdHandshake(where)
    const refusal = nextRefusal(held.app.bridge)
    held.client.socket.end()
    await refusal
    expect(await held.client.received()).toBe('')
    await expectNothingLeft(held)
  })

  it('never becomes a WebSocket when it closes its side behind unread bytes', async () => {
    const held = await holdHandshake(where)
    held.client.socket.end('unread')
    await hasFin(held.socket)
    expect(held.app.bridge.stats().pending).toBe(1)
    const refusal = nextRefusal(held.app.bridge)
    held.gate.open()
    await refusal
    expect(await held.client.received()).toBe('')
    await expectNothingLeft(held)
  })

  it('never becomes a WebSocket when it resets the connection behind unread bytes', async () => {
    const held = await holdHandshake(where)
    const refusal = nextRefusal(held.app.bridge)
    held.client.socket.write('unread', () => held.client.socket.resetAndDestroy())
    await hasFin(held.socket)
    held.gate.open()
    await refusal
    await expectNothingLeft(held)
  })

  it('is refused at the deadline when it closed behind unread bytes and the answer never comes', async () => {
    const { app, client, socket, closed } = await holdHandshake(where, { handshakeTimeoutMs: 500 })
    client.socket.end('unread')
    await hasFin(socket)
    await expect.poll(() => app.refusals, { interval: 5 }).toEqual([{ reason: 'timeout', status: 503 }])
    // Its own side is closed, but it may still be reading.
    expect(await client.received()).toMatch(/^HTTP\/1\.1 503 [^]*\r\n\r\nService Unavailable\n$/)
    expect(app.bridge.stats().pending).toBe(0)
    await closed
  })
})

describe('a client that is gone before the upgrade is handled', () => {
  it('is refused, although its socket no longer tells anything', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const connected = vi.fn()
    app.wss.on('connection', connected)
    const server = await startServer()
    const upgrade = once(server, 'upgrade') as Promise<[IncomingMessage, Socket, Buffer]>
    const client = rawRequest(portOf(server), upgradeRequest({ cookie }))
    const [request, socket, head] = await upgrade
    client.socket.end()
    await once(socket.resume(), 'end')

    const refusal = nextRefusal(app.bridge)
    app.bridge.handleUpgrade(app.wss, request, socket, head)
    expect(await refusal).toEqual({ reason: 'client-gone', status: 0 })
    expect(await client.received()).toBe('')
    expect(connected).not.toHaveBeenCalled()
    expect(app.bridge.stats().pending).toBe(0)
  })
})

async function startServer(): Promise<Server> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(() => server.close())
  return server
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}
