import { once } from 'node:events'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { MemoryStore } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import { CloseCode, type RefusalReason } from 'ws-session-bridge'
import { PlainConnection } from '../live/bound.js'
import { startApp, type App, type AppOptions } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { open, refused, type UpgradeOptions } from '../support/client.js'
import { gatedStore } from '../support/gate.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'

const closing = { refuseWith: 'close' } as const

/** What a client that is refused gets to know. */
async function closeOf(app: App, options?: UpgradeOptions): Promise<{ code: number; reason: string }> {
  const { closed } = await open(app.wsUrl, options)
  return closed
}

interface Case {
  reason: RefusalReason
  code: number
  text: string
  app?: AppOptions
  /** Default: the cookie of a login. */
  client?: UpgradeOptions
}

const failing = () =>
  Object.assign(new MemoryStore(), {
    get: (_sessionID: string, callback: (error: Error) => void) => {
      callback(new Error('no store'))
    },
  })
const fails = () => {
  throw new Error('no answer')
}

const cases: Case[] = [
  { reason: 'origin-denied', code: 4403, text: 'forbidden', client: { origin: 'https://evil.test' } },
  { reason: 'forbidden', code: 4403, text: 'forbidden', app: { bridge: { authorize: () => false } } },
  { reason: 'store-failed', code: 1013, text: 'unavailable', app: { store: failing() } },
  {
    reason: 'timeout',
    code: 1013,
    text: 'unavailable',
    app: { bridge: { handshakeTimeoutMs: 30, authorize: () => new Promise(() => undefined) } },
  },
  { reason: 'authorize-failed', code: 1011, text: 'failed', app: { bridge: { authorize: fails } } },
  { reason: 'authorize-failed', code: 1011, text: 'failed', app: { wss: { verifyClient: fails } } },
]

describe("with refuseWith: 'close', a refused client", () => {
  it.each(cases)(
    'of $reason gets a 101 and the close code $code',
    async ({ reason, code, text, app: given, client }) => {
      const app = await startApp({ ...given, bridge: { ...given?.bridge, ...closing } })
      expect(await closeOf(app, { cookie: await app.login('ada'), ...client })).toEqual({ code, reason: text })
      expect(app.refusals).toMatchObject([{ reason }])
      expect(app.bridge.stats()).toMatchObject({ pending: 0, sockets: 0, accepted: 0, refused: { [reason]: 1 } })
    },
  )

  it('cannot tell a missing, unsigned, forged and unknown cookie apart', async () => {
    const app = await startApp({ bridge: closing })
    const cookies = [
      undefined,
      'connect.sid=unsigned',
      'connect.sid=s:forged.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
      app.bridge.signedCookie('unknown'),
    ]
    const answers: string[] = []
    for (const cookie of cookies) {
      const client = rawRequest(app.port, upgradeRequest(cookie === undefined ? {} : { cookie }))
      // The whole close frame: 4401 and its reason.
      answers.push(await client.receivedUntil('\x88\x0e\x11\x31unauthorized'))
      client.socket.end()
    }
    expect(app.refusals.map(({ reason }) => reason)).toEqual([
      'no-cookie',
      'unsigned-cookie',
      'bad-signature',
      'no-session',
    ])
    expect(answers[0]).toMatch(/^HTTP\/1\.1 101 /)
    expect(new Set(answers).size).toBe(1)
  })

  it('of too-many-sockets gets 4429', async () => {
    const app = await startApp({ bridge: { ...closing, maxSocketsPerSession: 1 } })
    const cookie = await app.login('ada')
    const first = await open(app.wsUrl, { cookie })
    expect(await closeOf(app, { cookie })).toEqual({ code: CloseCode.tooManySockets, reason: 'too many sockets' })
    expect(first.ws.readyState).toBe(first.ws.OPEN)
  })

  it('of too-many-sockets gets 4429 also where the place was taken during its handshake', async () => {
    const { store, hold } = gatedStore(new MemoryStore())
    const app = await startApp({ store, bridge: { ...closing, maxSocketsPerSession: 1 } })
    const cookie = await app.login('ada')
    const request = Object.assign(new IncomingMessage(new Socket()), { method: 'GET', url: '/', headers: { cookie } })
    const verdict = await app.bridge.authenticate(request)
    if (!verdict.accepted || verdict.context === undefined) throw new Error('The request was refused')
    const gate = hold('get')
    const client = open(app.wsUrl, { cookie })
    await gate.arrived
    app.bridge.bind(verdict.context, new PlainConnection())
    const refusal = once(app.bridge, 'refuse')
    gate.open()
    expect(await refusal).toMatchObject([{ reason: 'too-many-sockets' }, {}])
    expect(await (await client).closed).toMatchObject({ code: 4429 })
    expect(app.wss.clients.size).toBe(0)
  })

  it('of too-many-pending and of a shutdown gets 1013', async () => {
    const { store, hold } = gatedStore(new MemoryStore())
    const app = await startApp({ store, bridge: { ...closing, maxPending: 1 } })
    const cookie = await app.login('ada')
    const gate = hold('get')
    const pending = closeOf(app, { cookie })
    await gate.arrived
    expect(await closeOf(app, { cookie })).toEqual({ code: 1013, reason: 'unavailable' })
    const closed = app.bridge.close()
    expect(await pending).toEqual({ code: 1013, reason: 'unavailable' })
    await closed
    expect(app.refusals.map(({ reason }) => reason)).toEqual(['too-many-pending', 'shutting-down'])
  })

  it('of a ws server that has been closed gets 1013', async () => {
    const app = await startApp({ bridge: closing })
    const cookie = await app.login('ada')
    app.wss.close()
    expect(await closeOf(app, { cookie })).toEqual({ code: 1013, reason: 'unavailable' })
    expect(app.refusals).toMatchObject([{ reason: 'shutting-down' }])
    expect(app.bridge.stats().pending).toBe(0)
  })

  it('is told by HTTP of a request that is no WebSocket, and of a path that is not there', async () => {
    const app = await startApp({ bridge: closing })
    const junk = rawRequest(app.port, upgradeRequest({ headers: { 'Sec-WebSocket-Version': '8' } }))
    expect(await junk.received()).toMatch(/^HTTP\/1\.1 400 /)
    expect((await refused(app.wsUrl.replace('/ws', '/elsewhere'))).status).toBe(404)
  })

  it('is told by close code where verifyClient of the ws server says no', async () => {
    const app = await startApp({ bridge: closing, wss: { verifyClient: () => false } })
    expect(await closeOf(app, { cookie: await app.login('ada') })).toMatchObject({ code: 4403, reason: 'forbidden' })
    expect(app.refusals).toMatchObject([{ reason: 'forbidden' }])
  })

  it('never comes to the ws server: no headers, no connection, no client, no context', async () => {
    const app = await startApp({ bridge: closing })
    const add = vi.spyOn(app.wss.clients, 'add')
    const heard = vi.fn()
    app.wss.on('headers', heard).on('connection', heard)
    app.bridge.on('accept', heard).on('end', heard)
    expect(await closeOf(app)).toMatchObject({ code: 4401 })
    expect(add).not.toHaveBeenCalled()
    expect(heard).not.toHaveBeenCalled()
    expect([...app.bridge.connections()]).toEqual([])
  })

  it('is refused in the same way by handleUpgrade', async () => {
    const app = await startApp({ bridge: closing, mount: { path: '/elsewhere' } })
    app.server.on('upgrade', (request, socket, head) => {
      if (request.url === '/ws') app.bridge.handleUpgrade(app.wss, request, socket, head)
    })
    expect(await closeOf(app)).toEqual({ code: 4401, reason: 'unauthorized' })
  })
})

describe('the subprotocol of a refused client', () => {
  const protocols = ['one', 'two']
  const selectedBy = async (app: App, options: UpgradeOptions): Promise<string> => {
    const { ws } = await open(app.wsUrl, { protocols, ...options })
    return ws.protocol
  }

  it('is the first that it offers, so that a browser does not report 1006', async () => {
    const app = await startApp({ bridge: closing })
    expect(await selectedBy(app, {})).toBe('one')
  })

  it('is not what handleProtocols selects, which is never asked about it', async () => {
    const handleProtocols = vi.fn(() => 'two')
    const app = await startApp({ bridge: closing, wss: { handleProtocols } })
    expect(await selectedBy(app, {})).toBe('one')
    expect(await selectedBy(app, { origin: 'https://evil.test' })).toBe('one')
    expect(handleProtocols).not.toHaveBeenCalled()
    expect(await selectedBy(app, { cookie: await app.login('ada') })).toBe('two')
  })

  it('is none where none was asked for', async () => {
    const app = await startApp({ bridge: closing, wss: { handleProtocols: () => 'one' } })
    expect(await selectedBy(app, { protocols: [] })).toBe('')
  })
})

/** A client that was refused and does not answer the close frame, as the clock stands still. */
async function refuseAndFreeze() {
  const app = await startApp({ bridge: closing })
  const connection = once(app.server, 'connection') as Promise<[Socket]>
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  atEnd(() => vi.useRealTimers())
  const client = rawRequest(app.port, upgradeRequest(), { allowHalfOpen: true })
  const [socket] = await connection
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => {
      resolve()
    })
  })
  await client.receivedUntil('unauthorized')
  return { app, client, socket, closed }
}

/** The close frame by which a client answers. */
const closeAnswer = Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x11, 0x31])

describe('a refused client that does not answer the close frame', () => {
  it('is cut a second later', async () => {
    const { socket, closed } = await refuseAndFreeze()
    vi.advanceTimersByTime(999)
    expect(socket.destroyed).toBe(false)
    vi.advanceTimersByTime(1)
    await closed
  })

  it('is waited for by bridge.close()', async () => {
    const { app, socket } = await refuseAndFreeze()
    const gone: string[] = []
    socket.once('close', () => gone.push('client'))
    const closed = app.bridge.close().then(() => gone.push('bridge'))
    await new Promise((resolve) => setImmediate(resolve))
    expect(gone).toEqual([])
    vi.advanceTimersByTime(1_000)
    await closed
    expect(gone).toEqual(['client', 'bridge'])
  })

  it('is waited for by bridge.close() also if it came while that was under way', async () => {
    const app = await startApp({ bridge: closing })
    const [first, second] = [await app.login('ada'), await app.login('bob')]
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    atEnd(() => vi.useRealTimers())
    const connection = once(app.bridge, 'accept')
    const client = rawRequest(app.port, upgradeRequest({ cookie: first }), { allowHalfOpen: true })
    await connection
    const resolved = vi.fn()
    const closed = app.bridge.close().then(resolved)
    await client.receivedUntil('shutdown')
    vi.advanceTimersByTime(500)
    const late = rawRequest(app.port, upgradeRequest({ cookie: second }), { allowHalfOpen: true })
    await late.receivedUntil('unavailable')
    // The open socket is cut now, the late one half a second later.
    const cut = once(client.socket, 'end')
    vi.advanceTimersByTime(500)
    await cut
    await new Promise((resolve) => setImmediate(resolve))
    expect(resolved).not.toHaveBeenCalled()
    vi.advanceTimersByTime(500)
    await closed
  })

  it('is gone at once when it answers, and its timers with it', async () => {
    const { client, closed } = await refuseAndFreeze()
    const timers = vi.getTimerCount()
    client.socket.end(closeAnswer)
    await closed
    // The bridge's own, and that of ws.
    expect(vi.getTimerCount()).toBe(timers - 2)
  })

  it('may reset the connection: nothing crashes, and others get in', async () => {
    const { app, client, closed } = await refuseAndFreeze()
    client.socket.resetAndDestroy()
    await closed
    vi.useRealTimers()
    const next = await open(app.wsUrl, { cookie: await app.login('ada') })
    expect(next.ws.readyState).toBe(next.ws.OPEN)
  })
})

describe('a refused client that sends a great deal', () => {
  it.each([
    ['in one message', (client: WebSocketLike) => client.send(Buffer.alloc(5_000_000))],
    [
      'in many',
      (client: WebSocketLike) => {
        for (let sent = 0; sent < 5_000; sent += 1) client.send('a message that is never read')
      },
    ],
    ['that is no message at all', (client: WebSocketLike) => client._socket.write(Buffer.alloc(1_000_000, 0xff))],
  ])('%s, gets the same close code, and nothing is kept or delivered', async (_how, flood) => {
    const app = await startApp({ bridge: closing })
    const connection = once(app.server, 'connection') as Promise<[Socket]>
    const client = await open(app.wsUrl)
    const [socket] = await connection
    flood(client.ws as unknown as WebSocketLike)
    expect(await client.closed).toMatchObject({ code: 4401 })
    await vi.waitUntil(() => socket.destroyed, { interval: 2, timeout: 5_000 })
    expect(socket.readableLength).toBeLessThanOrEqual(socket.readableHighWaterMark)
    expect(app.faults).toEqual([])
  })

  it('is cut off at the head of a long message: nothing of it is waited for', async () => {
    const { client, closed } = await refuseAndFreeze()
    // A masked frame of 1 025 bytes, of which none has come yet.
    client.socket.write(Buffer.from([0x82, 0xfe, 0x04, 0x01]))
    await once(client.socket, 'end')
    client.socket.end()
    await closed
  })

  it('before its answer, gets its close code', async () => {
    const { store, hold } = gatedStore(new MemoryStore())
    const app = await startApp({ store, bridge: closing })
    const gate = hold('get')
    const client = rawRequest(app.port, upgradeRequest({ cookie: app.bridge.signedCookie('unknown') }))
    await gate.arrived
    client.socket.write(Buffer.alloc(1_000_000, 0xff))
    gate.open()
    expect(await client.receivedUntil('unauthorized')).toMatch(/^HTTP\/1\.1 101 /)
    expect(app.bridge.stats().refused['no-session']).toBe(1)
  })
})

interface WebSocketLike {
  send(data: string | Buffer): void
  _socket: Socket
}
