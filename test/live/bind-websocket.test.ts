import { once } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import type { WebSocket } from 'ws'
import { startVerified } from '../recipes/verified-server.js'
import { startApp, type AppOptions } from '../support/app.js'
import { open } from '../support/client.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'
import { textFrame } from '../upgrade/raw-socket.js'
import { rest, until } from './bound.js'
import { connect, endOf } from './connected.js'

/** A socket that another library's server has opened, its handshake done, not bound yet. */
async function acceptOne(options?: AppOptions) {
  const app = await startApp(options)
  const server = await startVerified(app)
  const cookie = await app.login('ada')
  const accepted = server.accepted()
  const client = await open(server.url, { cookie })
  return { app, ...server, cookie, client, ...(await accepted) }
}

describe('bind() of a WebSocket that another server has opened', () => {
  it('makes it one of the bridge’s own', async () => {
    const { app, context, ws } = await acceptOne()
    const accepted = vi.fn()
    app.bridge.on('accept', accepted)
    expect(context.ws).toBeUndefined()
    app.bridge.bind(context, ws)
    expect(accepted.mock.calls).toEqual([[context, ws]])
    expect(context.ws).toBe(ws)
    expect(app.bridge.contextOf(ws)).toBe(context)
    expect([...app.bridge.connections()]).toEqual([context])
    expect(app.bridge.stats()).toMatchObject({ sockets: 1, sessions: 1, accepted: 1 })
  })

  it('follows the session, and closes with it', async () => {
    const { app, cookie, client, context, ws } = await acceptOne()
    app.bridge.bind(context, ws)
    await app.call('POST', '/login?name=grace', cookie)
    await until(() => context.session.user === 'grace')
    await app.call('POST', '/logout', cookie)
    expect(await client.closed).toEqual({ code: 4401, reason: 'destroyed' })
    expect(context.ended).toEqual({ reason: 'destroyed', code: 4401 })
    expect(app.bridge.stats()).toMatchObject({ sockets: 0, sessions: 0 })
  })

  it('closes one whose session went between authenticate() and it', async () => {
    const { app, cookie, client, context, ws } = await acceptOne()
    await app.call('POST', '/logout', cookie)
    app.bridge.bind(context, ws)
    expect((await client.closed).code).toBe(4401)
    expect(app.bridge.stats()).toMatchObject({ sockets: 0, sessions: 0 })
  })

  it('lets no message through after the end, whoever listens', async () => {
    const app = await startApp()
    const { port, accepted } = await startVerified(app)
    const cookie = await app.login('ada')
    const next = accepted()
    const client = rawRequest(port, upgradeRequest({ path: '/', cookie }))
    const { context, ws } = await next
    app.bridge.bind(context, ws)
    const heard: string[] = []
    ws.on('message', (data: Buffer) => {
      heard.push(data.toString())
      app.bridge.disconnect(context.sessionID)
    })
    ws.addEventListener('message', ({ data }) => heard.push((data as Buffer).toString()))
    const burst = Array.from({ length: 50 }, (_, index) => textFrame(`message ${index}`)).join('')
    client.socket.write(burst, 'latin1')
    await client.receivedUntil('disconnected')
    const closed = once(ws, 'close')
    client.socket.end(burst, 'latin1')
    await closed
    expect(new Set(heard)).toEqual(new Set(['message 0']))
  })

  it('says closed, with the client’s code, when the client closes', async () => {
    const { app, client, context, ws } = await acceptOne()
    app.bridge.bind(context, ws)
    client.ws.close(4000)
    expect(await endOf(context)).toEqual({ reason: 'closed', code: 4000 })
    expect(app.bridge.stats()).toMatchObject({ sockets: 0, sessions: 0, ended: { closed: 1 } })
  })

  it('counts its messages as activity', async () => {
    const { app, client, context, ws } = await acceptOne({ session: { cookie: { maxAge: 3_600_000 } } })
    const touched = vi.spyOn(app.store, 'touch')
    app.bridge.bind(context, ws)
    expect(touched).not.toHaveBeenCalled()
    client.ws.send('I am here')
    await until(() => touched.mock.calls.length === 1)
  })

  it('counts none of them with keepAlive: never', async () => {
    const bridge = { keepAlive: 'never' as const }
    const { app, client, context, ws } = await acceptOne({ bridge, session: { cookie: { maxAge: 3_600_000 } } })
    const touched = vi.spyOn(app.store, 'touch')
    app.bridge.bind(context, ws)
    client.ws.send('I am here')
    await once(ws, 'message')
    await rest()
    expect(touched).not.toHaveBeenCalled()
  })

  it('survives a bad frame', async () => {
    const app = await startApp()
    const { port, accepted } = await startVerified(app)
    const next = accepted()
    const client = rawRequest(port, upgradeRequest({ path: '/', cookie: await app.login('ada') }))
    const { context, ws } = await next
    app.bridge.bind(context, ws)
    client.socket.write('\xff\xff', 'latin1')
    expect(await endOf(context)).toMatchObject({ reason: 'closed' })
  })

  it('closes with 1008 where maxSocketsPerSession leaves no place, and forgets it', async () => {
    const { app, url, cookie, context, ws, accepted } = await acceptOne({ bridge: { maxSocketsPerSession: 1 } })
    const next = accepted()
    const client = await open(url, { cookie })
    const second = await next
    app.bridge.bind(context, ws)
    app.bridge.bind(second.context, second.ws)
    expect(await client.closed).toEqual({ code: 1008, reason: 'too many sockets' })
    expect(second.context.ended).toEqual({ reason: 'disconnected', code: 1008 })
    expect(app.bridge.stats()).toMatchObject({ sockets: 1, sessions: 1 })
  })

  it('takes no place for one that has closed', async () => {
    const { app, client, context, ws } = await acceptOne()
    const closed = once(ws, 'close')
    client.ws.close()
    await closed
    app.bridge.bind(context, ws)
    expect(context.ended).toEqual({ reason: 'closed', code: 1005 })
    expect(app.bridge.stats()).toMatchObject({ sockets: 0, sessions: 0 })
  })

  it('throws a TypeError for a socket that the bridge has, and the context can still be bound', async () => {
    const { app, cookie, url, context, ws, accepted } = await acceptOne({ bridge: { anonymous: 'accept' } })
    const own = await connect(app, cookie)
    const anonymous = once(app.wss, 'connection') as Promise<[WebSocket]>
    await open(app.wsUrl)
    for (const taken of [own.ws, (await anonymous)[0]]) {
      expect(() => app.bridge.bind(context, taken)).toThrow(/^bind: this bridge has the socket already/)
    }
    app.bridge.bind(context, ws)
    const next = accepted()
    await open(url, { cookie })
    const second = await next
    expect(() => app.bridge.bind(second.context, ws)).toThrow(TypeError)
    app.bridge.bind(second.context, second.ws)
    expect(app.bridge.stats()).toMatchObject({ sockets: 4, sessions: 1 })
  })

  const ofWs = { close() {}, on() {}, terminate() {}, readyState: 1 }

  it.each([
    ['of another kind', { close() {}, addEventListener() {}, readyState: 1 }],
    ['without `on`', { ...ofWs, on: undefined }],
    ['without `terminate`', { ...ofWs, terminate: undefined }],
    ['without `readyState`', { ...ofWs, readyState: undefined }],
  ])('throws a TypeError for a WebSocket %s', async (_what, foreign) => {
    const { app, context } = await acceptOne()
    expect(() => app.bridge.bind(context, foreign as unknown as WebSocket)).toThrow(/`close` and `onClose`/)
  })

  it('takes what has an `onClose` for what it says it is, whatever else it has', async () => {
    const { app, context } = await acceptOne()
    const connection = { ...ofWs, close: vi.fn(), onClose: vi.fn<(listener: () => void) => void>() }
    app.bridge.bind(context, connection)
    expect(context.ws).toBeUndefined()
    expect(connection.onClose).toHaveBeenCalledTimes(1)
    app.bridge.disconnect(context.sessionID)
    expect(connection.close.mock.calls).toEqual([[1008, 'disconnected']])
    connection.onClose.mock.lastCall?.[0]()
  })
})
