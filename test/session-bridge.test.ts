import { once } from 'node:events'
import { createServer, IncomingMessage, type Server } from 'node:http'
import { Socket } from 'node:net'
import { runInNewContext } from 'node:vm'
import { describe, expect, it, vi } from 'vitest'
import { WebSocketServer } from 'ws'
import type { MountOptions } from 'ws-session-bridge'
import { startApp } from './support/app.js'
import { open, refused } from './support/client.js'

describe('attach', () => {
  it('throws a TypeError that says what to do for a ws server that listens by itself', async () => {
    const { bridge, server } = await startApp()
    const own = new WebSocketServer({ port: 0 })
    const shared = new WebSocketServer({ server: createServer() })
    for (const wss of [own, shared]) {
      expect(() => bridge.attach(server, wss, { path: '/chat' })).toThrow(
        expect.objectContaining({ name: 'TypeError', message: expect.stringContaining('noServer: true') as string }),
      )
      wss.close()
    }
  })

  it('throws a TypeError for a verifyClient that takes a callback', async () => {
    const { bridge, server } = await startApp()
    const wss = new WebSocketServer({
      noServer: true,
      verifyClient: (_info, answer) => {
        answer(true)
      },
    })
    expect(() => bridge.attach(server, wss, { path: '/chat' })).toThrow(
      expect.objectContaining({ name: 'TypeError', message: expect.stringContaining('authorize') as string }),
    )
  })

  it.each<[string, unknown]>([
    ['no pathname', 'chat'],
    ['a path with a query string', '/chat?x'],
    ['a path with a fragment', '/chat#x'],
    ['an empty path', ''],
    ['a whole address', 'http://127.0.0.1/chat'],
    ['neither a string nor a RegExp', 7],
  ])('throws a TypeError for %s', async (_what, path) => {
    const { bridge, server, wss } = await startApp()
    expect(() => bridge.attach(server, wss, { path } as MountOptions)).toThrow(TypeError)
  })

  it('throws a TypeError for a path that is taken, until it is free again', async () => {
    const { bridge, server, wss } = await startApp({ mount: { path: '/other' } })
    const detach = bridge.attach(server, wss, { path: '/chat' })
    expect(() => bridge.attach(server, wss, { path: '/chat' })).toThrow(TypeError)
    detach()
    expect(() => bridge.attach(server, wss, { path: '/chat' })).not.toThrow()
  })

  it('throws a TypeError for what is no server, no ws server, or no listener', async () => {
    const { bridge, server, wss } = await startApp()
    expect(() => bridge.attach(undefined as unknown as Server, wss)).toThrow(/^attach: .* http or https server/)
    expect(() => bridge.attach(server, undefined as unknown as WebSocketServer)).toThrow(/^attach: .*WebSocketServer/)
    expect(() => bridge.attach(server, wss, { onConnection: 'listener' } as unknown as MountOptions)).toThrow(
      /^attach: `onConnection`/,
    )
  })

  it.each<[string, unknown, RegExp]>([
    [
      'a misspelt option',
      { paht: '/chat' },
      /^attach: option `paht` is unknown\. The options are: path, onConnection, authorize\.$/,
    ],
    ['a path by itself', '/chat', /^attach: .* \{ path: '\/chat' \}/],
    ['a listener by itself', () => undefined, /^attach: .* \{ path: '\/chat' \}/],
    ['null', null, /^attach: .* \{ path: '\/chat' \}/],
    ['a RegExp by itself', /^\/chat$/, /^attach: .* \{ path: '\/chat' \}/],
    ['a list', ['/chat'], /^attach: .* \{ path: '\/chat' \}/],
    ['a number', 7, /^attach: .* \{ path: '\/chat' \}/],
  ])('throws a TypeError for %s, which would leave it on every path', async (_what, mount, message) => {
    const { bridge, server, wss } = await startApp()
    const attach = () => bridge.attach(server, wss, mount as MountOptions)
    expect(attach).toThrow(TypeError)
    expect(attach).toThrow(message)
  })

  it.each([
    ['/чат', '/%D1%87%D0%B0%D1%82'],
    ['/café/%20x', '/caf%C3%A9/%20x'],
    ['/a\ud800', '/a%EF%BF%BD'],
  ])('throws a TypeError for the path %s, which no client sends so, and says what to pass', async (path, sent) => {
    const { bridge, server, wss } = await startApp()
    const attach = () => bridge.attach(server, wss, { path })
    expect(attach).toThrow(TypeError)
    expect(attach).toThrow(`percent-encoded: "${sent}"`)
    expect(() => bridge.attach(server, wss, { path: sent })).not.toThrow()
  })

  it('takes options that were made in another realm', async () => {
    const { bridge, server, wss } = await startApp()
    const mount = runInNewContext("({ path: '/chat' })") as MountOptions
    expect(() => bridge.attach(server, wss, mount)).not.toThrow()
  })

  it('leaves no listener behind when it throws', async () => {
    const { bridge, wss } = await startApp()
    const server = createServer()
    expect(() => bridge.attach(server, wss, { path: 'chat' })).toThrow(TypeError)
    expect(server.listenerCount('upgrade')).toBe(0)
  })
})

describe('the figures of stats()', () => {
  it('say what is now and add up what has been', async () => {
    const app = await startApp()
    expect(app.bridge.stats()).toMatchObject({ pending: 0, sockets: 0, sessions: 0, accepted: 0, faults: 0 })
    const [ada, bob] = [await app.login('ada'), await app.login('bob')]
    const clients = [ada, ada, bob].map((cookie) => open(app.wsUrl, { cookie }))
    const [first] = await Promise.all(clients)
    await refused(app.wsUrl)
    await refused(`${app.url.replace('http', 'ws')}/elsewhere`, { cookie: ada })
    expect(app.bridge.stats()).toMatchObject({ pending: 0, sockets: 3, sessions: 2, accepted: 3 })

    const ended = once(app.bridge, 'end')
    first!.ws.close(4000, 'bye')
    expect(await ended).toEqual([expect.anything(), { reason: 'closed', code: 4000 }])
    await app.bridge.close()
    const { accepted, refused: refusals, ended: ends, sockets, sessions } = app.bridge.stats()
    expect({ accepted, sockets, sessions }).toEqual({ accepted: 3, sockets: 0, sessions: 0 })
    expect(refusals).toMatchObject({ 'no-cookie': 1, 'not-found': 1 })
    expect(sum(refusals)).toBe(app.refusals.length)
    expect(ends).toMatchObject({ closed: 1, shutdown: 2 })
    expect(sum(ends)).toBe(accepted)
  })

  it('are a picture: what happens later does not change them', async () => {
    const app = await startApp()
    const before = app.bridge.stats()
    await refused(app.wsUrl)
    expect(before.refused['no-cookie']).toBe(0)
    expect(app.bridge.stats().refused['no-cookie']).toBe(1)
  })
})

describe('the events of the bridge', () => {
  it("tell of 'accept' and 'end' with the context, of 'refuse' with the request", async () => {
    const app = await startApp()
    const [accept, refuse, end] = [vi.fn(), vi.fn(), vi.fn()]
    app.bridge.on('accept', accept).on('refuse', refuse).on('end', end)
    const client = await open(app.wsUrl, { cookie: await app.login('ada') })
    const [[context]] = accept.mock.calls as [[{ ended: unknown }]]
    const contextEnded = vi.fn()
    app.bridge.contextOf([...app.wss.clients][0]!)?.on('end', contextEnded)
    await refused(app.wsUrl)
    expect(refuse.mock.calls).toEqual([[{ reason: 'no-cookie', status: 401 }, expect.any(IncomingMessage)]])
    const ended = once(app.bridge, 'end')
    client.ws.close(1000)
    await ended
    expect(end.mock.calls).toEqual([[context, { reason: 'closed', code: 1000 }]])
    expect(contextEnded.mock.calls).toEqual([[{ reason: 'closed', code: 1000 }]])
    expect(context.ended).toEqual({ reason: 'closed', code: 1000 })
    expect(accept).toHaveBeenCalledOnce()
  })

  it.each(['accept', 'refuse', 'end'] as const)("do no harm when a listener of '%s' throws", async (event) => {
    const app = await startApp()
    app.bridge.on(event, () => {
      throw new Error('the listener is broken')
    })
    const connected = vi.fn()
    app.wss.on('connection', connected)
    const client = await open(app.wsUrl, { cookie: await app.login('ada') })
    expect((await refused(app.wsUrl)).status).toBe(401)
    client.ws.close()
    await client.closed
    await vi.waitUntil(() => app.faults.length === 1, { interval: 2, timeout: 5_000 })
    expect(app.faults).toMatchObject([{ message: 'the listener is broken' }])
    expect(connected).toHaveBeenCalledOnce()
    expect(app.bridge.stats()).toMatchObject({ accepted: 1, sockets: 0, faults: 1, ended: { closed: 1 } })
  })
})

describe('an async listener of the bridge', () => {
  it.each(['accept', 'refuse', 'change', 'end'] as const)("is a fault where it rejects for '%s'", async (event) => {
    const app = await startApp()
    // eslint-disable-next-line @typescript-eslint/no-misused-promises -- an async listener is what is tested
    app.bridge.on(event, () => Promise.reject(new Error('the listener is broken')))
    const client = await open(app.wsUrl, { cookie: await app.login('ada') })
    const [context] = app.bridge.connections()
    await context!.update((draft) => {
      draft.user = 'eve'
    })
    expect((await refused(app.wsUrl)).status).toBe(401)
    client.ws.close()
    await vi.waitUntil(() => app.faults.length === 1, { interval: 2, timeout: 5_000 })
    expect(app.faults).toMatchObject([{ message: 'the listener is broken' }])
  })

  it("is not told of its own failure for 'fault': it becomes a process warning", async () => {
    const app = await startApp({ bridge: { authorize: () => Promise.reject(new Error('no answer')) } })
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    // eslint-disable-next-line @typescript-eslint/no-misused-promises -- an async listener is what is tested
    app.bridge.on('fault', () => Promise.reject(new TypeError('the listener is broken')))
    expect((await refused(app.wsUrl, { cookie: await app.login('ada') })).status).toBe(500)
    await vi.waitUntil(() => warn.mock.calls.length === 1, { interval: 2, timeout: 5_000 })
    expect(String(warn.mock.calls[0]?.[0])).toContain('event-listener, TypeError')
    expect(app.faults).toMatchObject([{ message: 'no answer' }])
  })
})

describe('a fault without a listener', () => {
  /** An app whose `authorize` throws, and what it has warned of. */
  async function startFaulty() {
    const app = await startApp({
      bridge: {
        authorize() {
          throw new Error('a secret detail')
        },
      },
    })
    app.bridge.removeAllListeners('fault')
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const now = vi.spyOn(performance, 'now')
    const cookie = await app.login('ada')
    const fail = async () => (await refused(app.wsUrl, { cookie })).status
    return { app, warn, now, fail }
  }

  it('becomes one process warning a minute', async () => {
    const { app, warn, now, fail } = await startFaulty()
    const start = performance.now()
    now.mockImplementation(() => start)
    expect([await fail(), await fail()]).toEqual([500, 500])
    expect(warn).toHaveBeenCalledOnce()
    now.mockImplementation(() => start + 59_999)
    await fail()
    expect(warn).toHaveBeenCalledOnce()
    now.mockImplementation(() => start + 60_000)
    await fail()
    expect(warn).toHaveBeenCalledTimes(2)
    expect(app.bridge.stats().faults).toBe(4)
  })

  it('becomes a warning of its own for each kind, and none of them tells what was in the error', async () => {
    const { app, warn, fail } = await startFaulty()
    app.bridge.on('refuse', () => {
      throw new Error('a secret detail')
    })
    await fail()
    await fail()
    const warnings = warn.mock.calls.map(([warning]) => String(warning))
    expect(warnings).toHaveLength(2)
    expect(new Set(warnings).size).toBe(2)
    for (const warning of warnings) expect(warning).not.toContain('secret')
  })

  it('becomes none where there is a listener, even if that listener throws: then the warning is about it', async () => {
    const { app, warn, fail } = await startFaulty()
    const listener = vi.fn()
    app.bridge.on('fault', listener)
    await fail()
    expect(listener.mock.calls).toMatchObject([[{ message: 'a secret detail' }]])
    expect(warn).not.toHaveBeenCalled()
    listener.mockImplementation(() => {
      throw new Error('the listener is broken')
    })
    expect(await fail()).toBe(500)
    expect(warn).toHaveBeenCalledOnce()
  })
})

describe('authenticate', () => {
  it('leaves the request as it is, and takes no place once it has answered', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const request = new IncomingMessage(new Socket())
    request.headers.cookie = cookie
    const before = Object.keys(request)
    const verdict = await app.bridge.authenticate(request)
    expect(verdict).toMatchObject({ accepted: true, context: { session: { user: 'ada' }, ws: undefined } })
    expect(Object.keys(request)).toEqual(before)
    expect(app.bridge.stats()).toMatchObject({ pending: 0, sockets: 0, accepted: 0 })
  })
})

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}
