import { STATUS_CODES } from 'node:http'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { MemoryStore } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import type { RefusalReason } from 'ws-session-bridge'
import { startApp, type AppOptions } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { open, refused } from '../support/client.js'
import { ByHandLiveStore } from '../live/by-hand-live-store.js'
import { gatedStore } from '../support/gate.js'
import { rawRequest, upgradeRequest, type UpgradeRequestOptions } from '../support/raw-request.js'
import { closing } from './raw-socket.js'

interface Case {
  app?: AppOptions
  request?: UpgradeRequestOptions
  /** Log in first, and send the cookie along. */
  loggedIn?: boolean
}

const silent = () => Object.assign(new MemoryStore(), { get: () => undefined })
const failing = () =>
  Object.assign(new MemoryStore(), {
    get: (_id: string, callback: (error: Error) => void) => {
      callback(new Error('no store'))
    },
  })

const cases: Partial<Record<RefusalReason, Case>> = {
  'bad-request': { request: { headers: { 'Sec-WebSocket-Version': '8' } } },
  'not-found': { request: { path: '/elsewhere' } },
  'origin-denied': { request: { headers: { Origin: 'https://evil.test' } } },
  'no-cookie': {},
  'unsigned-cookie': { request: { cookie: 'connect.sid=anything' } },
  'bad-signature': { request: { cookie: 'connect.sid=s:anything.forged' } },
  forbidden: { loggedIn: true, app: { bridge: { authorize: () => false } } },
  'store-failed': { loggedIn: true, app: { store: failing() } },
  timeout: { loggedIn: true, app: { store: silent(), bridge: { handshakeTimeoutMs: 20 } } },
  'authorize-failed': {
    loggedIn: true,
    app: {
      bridge: {
        authorize() {
          throw new Error('no answer')
        },
      },
    },
  },
}

async function refusedWith({ app: options, request, loggedIn = false }: Case) {
  const app = await startApp(options)
  const cookie = loggedIn ? { cookie: await app.login('ada') } : {}
  const answer = await rawRequest(app.port, upgradeRequest({ ...cookie, ...request })).received()
  return { answer, refusals: app.refusals }
}

describe('the answer to a refused upgrade', () => {
  it.each(Object.entries(cases))(
    'of %s is complete, is kept by no cache, and ends the connection',
    async (reason, given) => {
      const { answer, refusals } = await refusedWith(given)
      expect(refusals).toMatchObject([{ reason }])
      const [head = '', body = '', ...rest] = answer.split('\r\n\r\n')
      const [statusLine, ...headers] = head.split('\r\n')
      const status = refusals[0]?.status ?? 0
      expect(statusLine).toBe(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`)
      expect(headers).toContain('Connection: close')
      expect(headers).toContain('Cache-Control: no-store')
      expect(headers).toContain(`Content-Length: ${body.length}`)
      expect(rest).toEqual([])
    },
  )

  it('is the same, byte for byte, for a missing, unsigned, forged and unknown cookie', async () => {
    const app = await startApp()
    const cookies = [
      undefined,
      'connect.sid=',
      'connect.sid=unsigned',
      'connect.sid=s:forged.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
      app.bridge.signedCookie('unknown'),
    ]
    const answers: string[] = []
    for (const cookie of cookies) {
      const request = upgradeRequest(cookie === undefined ? {} : { cookie })
      answers.push(await rawRequest(app.port, request).received())
    }
    expect(app.refusals.map(({ reason }) => reason)).toEqual([
      'no-cookie',
      'no-cookie',
      'unsigned-cookie',
      'bad-signature',
      'no-session',
    ])
    expect(answers[0]).toMatch(/^HTTP\/1\.1 401 Unauthorized\r\n/)
    expect(new Set(answers).size).toBe(1)
  })

  it('arrives whole, and without a reset behind it, when the client has sent a great deal that was not read', async () => {
    const { store, hold } = gatedStore(new MemoryStore())
    const app = await startApp({ store })
    const gate = hold('get')
    const connection = once(app.server, 'connection') as Promise<[Socket]>
    const client = rawRequest(app.port, upgradeRequest({ cookie: app.bridge.signedCookie('unknown') }))
    const reset = vi.fn()
    client.socket.on('error', reset)
    const [socket] = await connection
    const closed = closing(socket)
    await gate.arrived
    client.socket.end(Buffer.alloc(1_000_000))
    await vi.waitUntil(() => socket.readableLength >= socket.readableHighWaterMark, { interval: 2, timeout: 5_000 })
    // The clock stands still: nothing but the client's FIN, behind all the rest, closes the connection.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    atEnd(() => vi.useRealTimers())
    gate.open()
    await closed
    expect(await client.received()).toMatch(/^HTTP\/1\.1 401 [^]*\r\n\r\nUnauthorized\n$/)
    expect(reset).not.toHaveBeenCalled()
  })
})

/** A refused client, as the clock stands still; its own side stays open. */
async function refuseAndFreeze() {
  const app = await startApp()
  const connection = once(app.server, 'connection') as Promise<[Socket]>
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  atEnd(() => vi.useRealTimers())
  const client = rawRequest(app.port, upgradeRequest(), { allowHalfOpen: true })
  const [socket] = await connection
  const closed = closing(socket)
  await once(client.socket, 'end')
  return { app, client, socket, closed }
}

describe('a refused client that does not close', () => {
  it('is cut off a second after its answer', async () => {
    const { socket, closed } = await refuseAndFreeze()
    vi.advanceTimersByTime(999)
    expect(socket.destroyed).toBe(false)
    vi.advanceTimersByTime(1)
    await closed
  })

  it('is cut off a second after its answer though it goes on sending, and what it sends is not kept', async () => {
    const { client, socket, closed } = await refuseAndFreeze()
    const before = socket.bytesRead
    await new Promise((resolve) => client.socket.write(Buffer.alloc(1_000_000), resolve))
    await once(socket, 'data')
    expect(socket.bytesRead).toBeGreaterThan(before)
    expect(socket.readableLength).toBe(0)
    vi.advanceTimersByTime(1_000)
    await closed
  })

  it('is gone at once when it closes, and its timer with it', async () => {
    const { client, closed } = await refuseAndFreeze()
    const timers = vi.getTimerCount()
    client.socket.end()
    await closed
    expect(vi.getTimerCount()).toBe(timers - 1)
  })

  it('is waited for by bridge.close()', async () => {
    const { app, socket } = await refuseAndFreeze()
    const gone: string[] = []
    socket.once('close', () => gone.push('client'))
    const bridgeClosed = app.bridge.close().then(() => gone.push('bridge'))
    await new Promise((resolve) => setImmediate(resolve))
    expect(gone).toEqual([])
    vi.advanceTimersByTime(1_000)
    await bridgeClosed
    expect(gone).toEqual(['client', 'bridge'])
  })

  it('may reset the connection: nothing crashes, and others get in', async () => {
    const { app, client, closed } = await refuseAndFreeze()
    client.socket.resetAndDestroy()
    await closed
    vi.useRealTimers()
    const cookie = await app.login('ada')
    const next = await open(app.wsUrl, { cookie })
    expect(next.ws.readyState).toBe(next.ws.OPEN)
  })
})

describe('a LiveStore whose watch throws', () => {
  it('has failed: it is told as a fault, and answered with 503', async () => {
    const thrown = new Error('the watch is broken')
    class Broken extends ByHandLiveStore {
      override watch(): void {
        throw thrown
      }
    }
    const app = await startApp({ bridge: { live: new Broken() } })
    const cookie = app.bridge.signedCookie('an ID')
    for (const attempt of ['the first', 'the second']) {
      expect((await refused(app.wsUrl, { cookie })).status, attempt).toBe(503)
    }
    const refusal = { reason: 'store-failed', error: { code: 'STORE_UNAVAILABLE', cause: thrown } }
    expect(app.refusals).toMatchObject([refusal, refusal])
    expect(app.faults).toEqual([thrown, thrown])
    expect(app.bridge.stats()).toMatchObject({ pending: 0, sockets: 0, sessions: 0 })
  })
})
