import { once } from 'node:events'
import { IncomingMessage } from 'node:http'
import { inspect } from 'node:util'
import { describe, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'
import type { ConnectionListener } from 'ws-session-bridge'
import { startApp } from '../support/app.js'
import { open } from '../support/client.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'
import { textFrame } from './raw-socket.js'
import { connect } from './server-side.js'

describe("'connection'", () => {
  it('brings the socket, the request and the context of the session', async () => {
    const app = await startApp()
    const connected = vi.fn<ConnectionListener>()
    app.wss.on('connection', (...args: unknown[]) => {
      connected(...(args as Parameters<ConnectionListener>))
    })
    await open(app.wsUrl, { cookie: await app.login('ada', 'admin') })
    const [ws, request, context] = connected.mock.calls[0]!
    expect(ws).toBeInstanceOf(WebSocket)
    expect(request).toBeInstanceOf(IncomingMessage)
    expect(context.session).toMatchObject({ user: 'ada', role: 'admin' })
    expect(context.sessionID).toBe(app.bridge.readSessionID(request))
    expect(context.ws).toBe(ws)
    expect(context.ended).toBeUndefined()
    expect(context.handshake).toMatchObject({ url: '/ws', origin: undefined, remoteAddress: '127.0.0.1' })
    expect(app.bridge.contextOf(ws)).toBe(context)
  })

  it('comes right after onConnection, which gets the same arguments', async () => {
    const calls: { by: string; args: unknown[] }[] = []
    const app = await startApp({ onConnection: (...args) => calls.push({ by: 'onConnection', args }) })
    app.wss.on('connection', (...args: unknown[]) => calls.push({ by: 'connection', args }))
    app.bridge.on('accept', (...args) => calls.push({ by: 'accept', args }))
    await open(app.wsUrl, { cookie: await app.login('ada') })
    expect(calls.map(({ by }) => by)).toEqual(['accept', 'onConnection', 'connection'])
    const [accept, onConnection, connection] = calls
    const [ws, , context] = connection!.args
    expect(onConnection!.args.every((arg, index) => arg === connection!.args[index])).toBe(true)
    expect(accept!.args[0]).toBe(context)
    expect(accept!.args[1]).toBe(ws)
  })

  it('comes to the ws server of the mount alone, whose clients hold the socket', async () => {
    const app = await startApp()
    const client = await open(app.wsUrl, { cookie: await app.login('ada') })
    expect(app.wss.clients.size).toBe(1)
    client.ws.close()
    await once(app.bridge, 'end')
    await vi.waitUntil(() => app.wss.clients.size === 0, { interval: 2, timeout: 5_000 })
  })

  it('finds no context for a socket that the bridge does not know', async () => {
    const app = await startApp()
    const client = await open(app.wsUrl, { cookie: await app.login('ada') })
    expect(app.bridge.contextOf(client.ws)).toBeUndefined()
  })
})

describe('a connection listener that throws', () => {
  it.each(['onConnection', 'connection'])('by %s ends its socket with 1011, and is told as a fault', async (by) => {
    const fail = () => {
      throw new Error('the listener is broken')
    }
    const app = await startApp(by === 'onConnection' ? { onConnection: fail } : {})
    if (by === 'connection') app.wss.on('connection', fail)
    const ended = once(app.bridge, 'end')
    const client = await open(app.wsUrl, { cookie: await app.login('ada') })
    expect(await client.closed).toEqual({ code: 1011, reason: 'disconnected' })
    expect(await ended).toEqual([expect.anything(), { reason: 'disconnected', code: 1011 }])
    expect(app.faults).toMatchObject([{ message: 'the listener is broken' }])
    expect(app.bridge.stats()).toMatchObject({
      pending: 0,
      sockets: 0,
      accepted: 1,
      faults: 1,
      ended: { disconnected: 1 },
    })
  })

  it('no longer gets messages', async () => {
    const message = vi.fn()
    const app = await startApp({
      onConnection(ws) {
        ws.on('message', message)
        throw new Error('the listener is broken')
      },
    })
    const closed = once(app.bridge, 'end')
    const client = rawRequest(app.port, upgradeRequest({ cookie: await app.login('ada') }) + textFrame('too late'))
    await closed
    await client.receivedUntil('disconnected')
    client.socket.end()
    await vi.waitUntil(() => app.wss.clients.size === 0, { interval: 2, timeout: 5_000 })
    expect(message).not.toHaveBeenCalled()
  })
})

describe('a socket without listeners', () => {
  it('closes on a bad frame, and nothing crashes', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const client = rawRequest(app.port, upgradeRequest({ cookie }))
    await client.receivedUntil('\r\n\r\n')
    const ended = once(app.bridge, 'end')
    client.socket.write(Buffer.from([0xff, 0xff, 0xff]))
    // The close frame of 1002, "protocol error".
    await client.receivedUntil('\r\n\r\n\x88\x02\x03\xea')
    client.socket.end()
    expect(await ended).toMatchObject([{}, { reason: 'closed' }])
    const next = await open(app.wsUrl, { cookie })
    expect(next.ws.readyState).toBe(next.ws.OPEN)
  })

  it('may be reset, and nothing crashes', async () => {
    const app = await startApp()
    const client = rawRequest(app.port, upgradeRequest({ cookie: await app.login('ada') }))
    await client.receivedUntil('\r\n\r\n')
    const ended = once(app.bridge, 'end')
    client.socket.resetAndDestroy()
    expect(await ended).toMatchObject([{}, { reason: 'closed', code: 1006 }])
    expect(app.bridge.stats()).toMatchObject({ sockets: 0, sessions: 0, faults: 0 })
  })
})

describe('the remote address of a connection', () => {
  it('is read when the client closes its side, and known afterwards', async () => {
    const app = await startApp()
    const { client, context } = await connect(app)
    const ended = once(context, 'end')
    client.ws.close()
    await ended
    expect(context.handshake.remoteAddress).toBe('127.0.0.1')
  })

  it('is in the plain data of the handshake, and in what is logged of the context', async () => {
    const app = await startApp()
    const { context } = await connect(app)
    expect({ ...context.handshake }).toMatchObject({ remoteAddress: '127.0.0.1', url: '/ws' })
    expect(JSON.parse(JSON.stringify(context))).toMatchObject({ handshake: { remoteAddress: '127.0.0.1' } })
    expect(inspect(context)).toContain("remoteAddress: '127.0.0.1'")
  })
})
