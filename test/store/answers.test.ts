import { once } from 'node:events'
import type { SessionData } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import { StoreUnavailableError } from 'ws-session-bridge'
import { requestWith } from '../authenticate/request.js'
import { startApp } from '../support/app.js'
import { createGate } from '../support/gate.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'

type Callback = (error: unknown, record?: SessionData | null) => void
type Get = (sessionID: string, callback: Callback) => unknown

const record = JSON.parse('{"cookie":{},"user":"ada"}') as SessionData
const broken = new Error('the store is broken')
const absent = Object.assign(new Error('no such file'), { code: 'ENOENT' })

const answers =
  (...answer: Parameters<Callback>): Get =>
  (_, callback) => {
    callback(...answer)
  }
const session = answers(null, record)
const throws = (): never => {
  throw broken
}

/** An app whose store is a real one, but for how it answers `get`. */
async function startWith(get: Get, handshakeTimeoutMs?: number) {
  const app = await startApp({ bridge: { handshakeTimeoutMs } })
  const cookie = app.bridge.signedCookie('id')
  vi.spyOn(app.store, 'get').mockImplementation(get)
  return { ...app, authenticate: () => app.bridge.authenticate(requestWith({ cookie })), cookie }
}

describe('the answer of a store', () => {
  it.each<[string, Get]>([
    ['answers with an error', answers(broken)],
    ['answers with an error and a session', answers(broken, record)],
    ['throws', throws],
    ['returns a promise that rejects', () => Promise.reject(broken)],
  ])('is a refusal as store-failed with 503 if the store %s', async (_what, get) => {
    const { authenticate, refusals, faults } = await startWith(get)
    expect(await authenticate()).toMatchObject({ refusal: { reason: 'store-failed', status: 503 } })
    const [error] = refusals.map((refusal) => refusal.error)
    expect(error).toBeInstanceOf(StoreUnavailableError)
    expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', cause: broken })
    expect(error?.message).not.toContain(broken.message)
    expect(faults).toEqual([])
  })

  it('becomes an Error with the value as its cause if the value is no Error', async () => {
    const { authenticate, refusals } = await startWith(answers('down'))
    await authenticate()
    expect(refusals).toMatchObject([{ reason: 'store-failed', error: { cause: { cause: 'down' } } }])
  })

  it.each<[string, Get]>([
    ['ENOENT', answers(absent)],
    ['ENOENT that is no Error', answers({ code: 'ENOENT' })],
    ['null', answers(null, null)],
    ['undefined', answers(undefined)],
    ['an empty string', answers(null, '' as never)],
  ])('is a refusal as no-session with 401 if it is %s', async (_what, get) => {
    const { authenticate } = await startWith(get)
    expect(await authenticate()).toEqual({ accepted: false, refusal: { reason: 'no-session', status: 401 } })
  })

  /** The session, and what a store may do after it. */
  const then =
    (after: (callback: Callback) => unknown): Get =>
    (sessionID, callback) => {
      session(sessionID, callback)
      return after(callback)
    }

  it.each<[string, Get]>([
    ['at once', session],
    ['later', (_, callback) => setImmediate(callback, null, record)],
    ['with a promise that says nothing', then(() => Promise.resolve())],
    ['with a promise that rejects', then(() => Promise.reject(broken))],
    ['and something is thrown', then(throws)],
    ['and then an error', then((callback) => callback(broken))],
    ['and then none', then((callback) => setImmediate(callback, null, null))],
  ])('lets the session in if it comes %s', async (_how, get) => {
    const { authenticate, faults, bridge } = await startWith(get)
    expect(await authenticate()).toMatchObject({ accepted: true, context: { session: { user: 'ada' } } })
    expect(faults).toEqual([])
    expect(bridge.stats()).toMatchObject({ pending: 0, faults: 0 })
  })

  it.each<[string, Get]>([
    ['an error', answers(broken)],
    ['none', answers(null, null)],
  ])('counts once: %s is not undone by a session after it', async (_what, get) => {
    const { authenticate, refusals } = await startWith((sessionID, callback) => {
      get(sessionID, callback)
      callback(null, record)
    })
    expect(await authenticate()).toMatchObject({ accepted: false })
    expect(refusals).toHaveLength(1)
  })
})

describe('a store that does not answer', () => {
  it.each<[string, Get]>([
    ['it never answers', () => undefined],
    ['it returns a promise of a session, and nothing else', () => Promise.resolve(record)],
  ])('is a refusal as timeout with 503 if %s', async (_what, get) => {
    const { authenticate, bridge } = await startWith(get, 30)
    expect(await authenticate()).toEqual({ accepted: false, refusal: { reason: 'timeout', status: 503 } })
    expect(bridge.stats().pending).toBe(0)
  })

  it.each<[string, Get]>([
    ['a session', session],
    ['an error', answers(broken)],
  ])('is refused once, and %s that comes too late changes nothing', async (_what, answer) => {
    const gate = createGate()
    const late = createGate()
    const app = await startWith((sessionID, callback) => {
      void gate.wait().then(() => {
        answer(sessionID, callback)
        late.open()
      })
    }, 30)
    const { port, bridge, cookie, wss } = app
    const upgrade = rawRequest(port, upgradeRequest({ cookie }))
    await gate.arrived
    expect(await upgrade.received()).toMatch(/^HTTP\/1\.1 503 /)
    gate.open()
    await late.wait()
    await new Promise(setImmediate)
    expect(app.refusals).toEqual([{ reason: 'timeout', status: 503 }])
    expect(app.faults).toEqual([])
    expect(wss.clients.size).toBe(0)
    expect(bridge.stats()).toMatchObject({ pending: 0, sockets: 0, accepted: 0 })
  })
})

describe("a store that emits 'disconnect' and 'connect'", () => {
  it('causes refusals with 503 without a store call until it is connected again', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const get = vi.spyOn(app.store, 'get')

    app.store.emit('disconnect')
    expect(await app.bridge.authenticate(requestWith({ cookie }))).toMatchObject({
      accepted: false,
      refusal: { reason: 'store-failed', status: 503, error: { code: 'STORE_UNAVAILABLE' } },
    })
    await expect(app.bridge.load('id')).rejects.toBeInstanceOf(StoreUnavailableError)
    expect(get).not.toHaveBeenCalled()

    app.store.emit('connect')
    expect(await app.bridge.authenticate(requestWith({ cookie }))).toMatchObject({ accepted: true })
  })

  it('leaves open sockets open while it is disconnected', async () => {
    const ended = vi.fn()
    const app = await startApp()
    app.bridge.on('end', ended)
    const upgrade = rawRequest(app.port, upgradeRequest({ cookie: await app.login('ada') }))
    await once(app.bridge, 'accept')
    app.store.emit('disconnect')
    expect(await upgrade.receivedUntil('\r\n\r\n')).toMatch(/^HTTP\/1\.1 101 /)
    expect(ended).not.toHaveBeenCalled()
    expect(app.bridge.stats().sockets).toBe(1)
  })

  it('has no listener of the bridge left when the bridge has closed', async () => {
    const app = await startApp()
    const listeners = () => app.store.listenerCount('disconnect') + app.store.listenerCount('connect')
    const before = listeners()
    await app.bridge.close()
    expect(before - listeners()).toBe(2)
  })
})
