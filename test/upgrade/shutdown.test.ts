import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { Cookie } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import type { Refusal } from 'ws-session-bridge'
import { ByHandLiveStore } from '../live/by-hand-live-store.js'
import { startApp } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { open, refused } from '../support/client.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'
import { awaits, holdHandshake } from './held-handshake.js'
import { textFrame } from './raw-socket.js'

describe('bridge.close()', () => {
  it('closes the open sockets with 1001 and resolves when they have gone', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const clients = [await open(app.wsUrl, { cookie }), await open(app.wsUrl, { cookie })]
    const ends: unknown[] = []
    app.bridge.on('end', (_context, end) => ends.push(end))
    await app.bridge.close()
    expect(app.wss.clients.size).toBe(0)
    expect(app.bridge.stats()).toMatchObject({ sockets: 0, sessions: 0, pending: 0, ended: { shutdown: 2, closed: 0 } })
    expect(ends).toEqual(Array(2).fill({ reason: 'shutdown', code: 1001 }))
    for (const { closed } of clients) expect(await closed).toEqual({ code: 1001, reason: 'shutdown' })
  })

  it('takes the upgrade listener, the store listeners and the timers away, and leaves the store as it is', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const client = await open(app.wsUrl, { cookie })
    const storeEvents = ['connect', 'disconnect'] as const
    const before = storeEvents.map((event) => app.store.listenerCount(event))
    await app.bridge.close()
    expect(app.server.listenerCount('upgrade')).toBe(0)
    expect(storeEvents.map((event) => app.store.listenerCount(event))).toEqual(before.map((count) => count - 1))
    await client.closed
    expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({ user: 'ada' })
  })

  it('leaves no timer behind', async () => {
    const app = await startApp()
    // Not by fetch, which leaves timers of its own.
    app.store.set('an ID', { cookie: new Cookie() })
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    atEnd(() => vi.useRealTimers())
    const client = rawRequest(app.port, upgradeRequest({ cookie: app.bridge.signedCookie('an ID') }))
    await client.receivedUntil('\r\n\r\n')
    expect(vi.getTimerCount()).toBeGreaterThan(0)
    const closed = app.bridge.close()
    await client.receivedUntil('shutdown')
    client.socket.end()
    await closed
    expect(vi.getTimerCount()).toBe(0)
  })

  it.each(awaits)('answers 503 to a handshake that waits at %s, which then changes nothing', async (where) => {
    const { app, client, gate, connected } = await holdHandshake(where)
    await app.bridge.close()
    expect(await client.received()).toMatch(/^HTTP\/1\.1 503 [^]*\r\n\r\nService Unavailable\n$/)
    expect(app.refusals).toEqual([{ reason: 'shutting-down', status: 503 }])
    gate.open()
    await app.call('GET', '/me')
    expect(connected).not.toHaveBeenCalled()
    expect(app.bridge.stats()).toMatchObject({ pending: 0, sockets: 0, accepted: 0 })
    expect(app.refusals).toHaveLength(1)
  })

  it('refuses what comes while it is under way with 503, authenticate() included', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const holdout = rawRequest(app.port, upgradeRequest({ cookie }))
    await holdout.receivedUntil('\r\n\r\n')
    const get = vi.spyOn(app.store, 'get')
    const closed = app.bridge.close()
    const refusal = once(app.bridge, 'refuse') as Promise<[Refusal, IncomingMessage]>
    expect((await refused(app.wsUrl, { cookie })).status).toBe(503)
    const [, request] = await refusal
    expect(await app.bridge.authenticate(request)).toEqual({
      accepted: false,
      refusal: { reason: 'shutting-down', status: 503 },
    })
    expect(get).not.toHaveBeenCalled()
    holdout.socket.destroy()
    await closed
  })

  it('leaves no session watched by a handshake in the midst of which it was called', async () => {
    const live = new ByHandLiveStore()
    const closesFirst = (): boolean => {
      void app.bridge.close()
      return true
    }
    const app = await startApp({ bridge: { live, origins: closesFirst } })
    const cookie = app.bridge.signedCookie('id')
    expect((await refused(app.wsUrl, { cookie, origin: app.url })).status).toBe(503)
    await app.bridge.close()
    expect(live.watched.size).toBe(0)
  })

  it('resolves where the LiveStore cannot be closed, tells of it, and has taken the upgrade listener away', async () => {
    const failed = new Error('it does not close')
    class Stuck extends ByHandLiveStore {
      override close = (): Promise<void> => Promise.reject(failed)
    }
    const app = await startApp({ bridge: { live: new Stuck() } })
    await app.bridge.close()
    expect(app.faults).toEqual([failed])
    expect(app.server.listenerCount('upgrade')).toBe(0)
  })

  it.each(['refuse', 'accept'] as const)(
    'closes a socket that is being opened when a listener of its headers calls it (anonymous: %s)',
    async (anonymous) => {
      const app = await startApp({ bridge: { anonymous } })
      const cookie = anonymous === 'refuse' ? await app.login('ada') : undefined
      app.wss.once('headers', () => void app.bridge.close())
      const { closed } = await open(app.wsUrl, cookie === undefined ? {} : { cookie })
      await app.bridge.close()
      expect(app.bridge.stats()).toMatchObject({ sockets: 0, sessions: 0 })
      expect(await closed).toEqual({ code: 1001, reason: 'shutdown' })
    },
  )

  it('is harmless a second time, at once and later', async () => {
    const app = await startApp()
    const client = await open(app.wsUrl, { cookie: await app.login('ada') })
    await Promise.all([app.bridge.close(), app.bridge.close()])
    await app.bridge.close()
    expect(app.bridge.stats().ended.shutdown).toBe(1)
    expect((await client.closed).code).toBe(1001)
  })

  it('closes the LiveStore once, however often it is called', async () => {
    const live = new ByHandLiveStore()
    const app = await startApp({ bridge: { live } })
    await Promise.all([app.bridge.close(), app.bridge.close()])
    await app.bridge.close()
    expect(live.closed).toBe(1)
  })

  it('leaves an upgrade that authenticate() is asked about later to its listener and other bridges, else answers 503', async () => {
    const [app, other] = [await startApp(), await startApp({ bridge: { handshakeTimeoutMs: 200 } })]
    await app.bridge.close()
    app.server.on('upgrade', (request, socket) => {
      void app.bridge.authenticate(request).then(() => {
        if (request.url === '/answered') socket.end('HTTP/1.1 418 A teapot\r\nConnection: close\r\n\r\n')
        if (request.url === '/other') void other.bridge.authenticate(request)
      })
    })
    const statusOf = async (path: string) =>
      (await rawRequest(app.port, upgradeRequest({ path })).received()).slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length)
    expect(await statusOf('/answered')).toBe('418')
    expect(await statusOf('/other')).toBe('404')
    expect(await statusOf('/silent')).toBe('503')
  })

  it('ends a bridge for good: attach throws, handleUpgrade answers 503', async () => {
    const app = await startApp()
    await app.bridge.close()
    expect(() => app.bridge.attach(app.server, app.wss)).toThrow(TypeError)
    app.server.on('upgrade', (request, socket, head) => {
      app.bridge.handleUpgrade(app.wss, request, socket, head)
    })
    expect((await refused(app.wsUrl)).status).toBe(503)
  })
})

describe('a client that does not answer the close frame', () => {
  it('is cut off a second later, and none of its messages is delivered meanwhile', async () => {
    const message = vi.fn()
    const app = await startApp({ onConnection: (ws) => ws.on('message', message) })
    const cookie = await app.login('ada')
    const client = rawRequest(app.port, upgradeRequest({ cookie }))
    await client.receivedUntil('\r\n\r\n')
    const [ws] = app.wss.clients
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    atEnd(() => vi.useRealTimers())

    const closed = app.bridge.close()
    const received = new Promise((resolve) => {
      // A frame that ws hands on to a ping's listener alone: what was sent before it has been read.
      ws!.once('ping', resolve)
    })
    client.socket.write(textFrame('too late') + '\x89\x80\0\0\0\0', 'latin1')
    await received
    expect(message).not.toHaveBeenCalled()
    vi.advanceTimersByTime(999)
    expect(client.socket.destroyed).toBe(false)
    expect(ws!.readyState).toBe(ws!.CLOSING)
    vi.advanceTimersByTime(1)
    await closed
    // The close frame of 1001, and the connection's end.
    expect(await client.received()).toContain('\r\n\r\n\x88\x0a\x03\xe9shutdown')
  })
})
