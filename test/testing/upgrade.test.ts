// real handshakes without a port, and what a test gets to see of them.
import { once } from 'node:events'
import { inspect } from 'node:util'
import { WebSocket, WebSocketServer } from 'ws'
import { describe, expect, it } from 'vitest'
import { createTestBridge, type TestBridgeOptions, type TestUpgradeOptions } from 'ws-session-bridge/testing'
import type { SessionContext } from 'ws-session-bridge'
import { atEnd } from '../support/at-end.js'
import { createGate } from '../support/gate.js'
import { watchHandles } from './opened-handles.js'
import { startTestBridge } from './test-bridge.js'

describe('an upgrade without a port', () => {
  it('is a WebSocket from end to end, with the context of the server', async () => {
    const { cookie, upgrade, bridge } = await startTestBridge()
    const { ws, next, context, status } = await upgrade(cookie({ user: 'Ada' }))
    ws.send('Who am I?')
    expect(await next()).toBe('You are Ada')
    expect(status).toBe(101)
    expect(context.session.user).toBe('Ada')
    expect(bridge.contextOf(context.ws!)).toBe(context)
    expect([...bridge.connections()]).toEqual([context])
  })

  it('opens no port and no connection of the system', async () => {
    const { cookie, upgrade, server } = await startTestBridge()
    const handles = watchHandles()
    await upgrade(cookie({ user: 'Ada' }))
    expect(handles).toEqual([])
    expect(server.listening).toBe(false)
  })

  it('hands on what the server sends at once, by next() and by listeners that are put on after it', async () => {
    const { cookie, upgrade } = await startTestBridge({
      onConnection(ws) {
        ws.send('first')
        ws.send('second')
      },
    })
    const { ws, next } = await upgrade(cookie())
    const [message] = (await once(ws, 'message')) as [Buffer]
    expect(message.toString()).toBe('first')
    expect(await next()).toBe('first')
    expect(await next()).toBe('second')
  })

  it('leaves a client alone that a test has paused', async () => {
    const { cookie, upgrade, end } = await startTestBridge({
      onConnection(ws) {
        ws.send('first')
      },
    })
    const signed = cookie({ user: 'Ada' })
    const { ws, next, context } = await upgrade(signed)
    ws.pause()
    const message = next()
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    expect(await Promise.race([message, Promise.resolve('nothing yet')])).toBe('nothing yet')
    // It does not answer the close frame: it is cut, and `end` does not wait for it.
    await end(signed)
    expect(context.ws?.readyState).toBe(WebSocket.CLOSED)
    ws.resume()
    expect(await message).toBe('first')
  })

  it('tells messages from the end', async () => {
    const { cookie, upgrade, end } = await startTestBridge()
    const signed = cookie({ user: 'Ada' })
    const { next, closed } = await upgrade(signed)
    const message = next()
    await Promise.all([expect(message).rejects.toThrow('closed with 4401'), end(signed)])
    await expect(next()).rejects.toThrow('closed with 4401')
    expect(await closed).toEqual({ code: 4401, reason: 'destroyed' })
  })

  it.each<[what: string, sent: TestUpgradeOptions, seen: Partial<SessionContext['handshake']>]>([
    ['a path', { url: '/rooms/1?a=b' }, { url: '/rooms/1?a=b' }],
    ['an origin', { url: 'ws://app.example', origin: 'http://app.example' }, { origin: 'http://app.example' }],
    ['an encrypted origin', { url: 'wss://app.example', origin: 'https://app.example' }, { url: '/' }],
    ['no address of its own', {}, { remoteAddress: '127.0.0.1' }],
    ['an address', { remoteAddress: '203.0.113.7' }, { remoteAddress: '203.0.113.7' }],
  ])('comes with %s', async (_what, sent, seen) => {
    const { cookie, upgrade } = await startTestBridge()
    const { context } = await upgrade(cookie(), sent)
    expect(context.handshake).toMatchObject(seen)
  })

  it('counts as encrypted with wss:, where a page without TLS has no business', async () => {
    const { cookie, upgrade } = await startTestBridge()
    const { refusal } = await upgrade(cookie(), { url: 'wss://app.example', origin: 'http://app.example' })
    expect(refusal?.reason).toBe('origin-denied')
  })

  it('asks for subprotocols and sends more headers', async () => {
    const { cookie, upgrade, wss } = await startTestBridge()
    const connected = once(wss, 'connection')
    const { ws } = await upgrade(cookie(), { protocols: ['chat', 'superchat'], headers: { 'x-trace': '7' } })
    expect(ws.protocol).toBe('chat')
    const [, request] = (await connected) as [WebSocket, { headers: Record<string, string> }]
    expect(request.headers['x-trace']).toBe('7')
  })

  it('shows the cookie that a rolling session renews', async () => {
    const options = { session: { name: 'app.sid', rolling: true, cookie: { maxAge: 1_000 } } }
    const { cookie, upgrade } = await startTestBridge(options)
    const signed = cookie({ user: 'Ada' })
    expect(signed).toMatch(/^app\.sid=s%3A/)
    const { headers } = await upgrade(signed)
    expect(headers['set-cookie']).toEqual([expect.stringContaining(`${signed};`)])
  })
})

describe('a refused upgrade', () => {
  it.each<
    [reason: string, status: number, given: TestBridgeOptions, sent: (cookie: string) => [string?, TestUpgradeOptions?]]
  >([
    ['no-cookie', 401, {}, () => []],
    ['unsigned-cookie', 401, {}, () => ['connect.sid=abc']],
    ['bad-signature', 401, {}, (cookie) => [`${cookie}x`]],
    ['origin-denied', 403, {}, (cookie) => [cookie, { origin: 'https://evil.example' }]],
    ['forbidden', 403, { authorize: ({ user }) => user === 'Grace' }, (cookie) => [cookie]],
    ['not-found', 404, { path: '/chat' }, (cookie) => [cookie, { url: '/' }]],
    ['bad-request', 400, {}, (cookie) => [cookie, { headers: { 'content-length': '5' } }]],
  ])('says %s, with %i', async (reason, status, given, sent) => {
    const { cookie, upgrade } = await startTestBridge(given)
    const refused = await upgrade(...sent(cookie({ user: 'Ada' })))
    expect(refused.refusal).toMatchObject({ reason, status })
    expect(refused.status).toBe(status)
    expect(refused.body).not.toBe('')
    expect(() => refused.ws).toThrow(`The upgrade was refused: ${reason} (${status})`)
    expect(() => refused.context).toThrow(reason)
    await expect(refused.next()).rejects.toThrow(reason)
    // Whoever prints it asks for none of that.
    expect(inspect(refused)).toContain('Attempt')
  })

  it('is a socket that is closed, with refuseWith: close', async () => {
    const { upgrade } = await startTestBridge({ refuseWith: 'close' })
    const { refusal, status, ws, closed } = await upgrade()
    expect(refusal?.reason).toBe('no-cookie')
    expect(status).toBe(101)
    expect(ws).toBeInstanceOf(WebSocket)
    expect(await closed).toEqual({ code: 4401, reason: 'unauthorized' })
  })

  it('is one that was logged out while authorize took its time', async () => {
    const gate = createGate()
    const { cookie, upgrade, end } = await startTestBridge({ authorize: () => gate.wait().then(() => true) })
    const signed = cookie({ user: 'Ada' })
    const upgraded = upgrade(signed)
    await gate.arrived
    // Does not wait for the handshake, which waits for the test.
    await end(signed)
    gate.open()
    expect((await upgraded).refusal?.reason).toBe('no-session')
  })
})

describe('the connection listener of an app', () => {
  it('is called with what it gets in production', async () => {
    const calls: unknown[][] = []
    const { cookie, upgrade } = await startTestBridge({ onConnection: (...args) => void calls.push(args) })
    const { context } = await upgrade(cookie({ user: 'Ada' }))
    const [[ws, request, third] = []] = calls
    expect(calls.length).toBe(1)
    expect(ws).toBe(context.ws)
    expect(request).toMatchObject({ session: { user: 'Ada' }, sessionID: context.sessionID })
    expect(third).toBe(context)
  })

  it('may listen on a ws server of its own', async () => {
    const wss = new WebSocketServer({ noServer: true, maxPayload: 4 })
    wss.on('connection', (ws) => {
      ws.send('hello')
    })
    const { cookie, upgrade } = await startTestBridge({ wss })
    const { ws, next, closed } = await upgrade(cookie({ user: 'Ada' }))
    expect(await next()).toBe('hello')
    ws.send('too long')
    expect((await closed).code).toBe(1009)
  })

  it('may be attached to the server by the very lines of the app', async () => {
    const { bridge, server, cookie, upgrade } = await startTestBridge()
    const wss = new WebSocketServer({ noServer: true })
    const detach = bridge.attach(server, wss, {
      path: '/chat',
      onConnection(ws, _request, { session }) {
        ws.send(`Welcome to the chat, ${session.user}`)
      },
    })
    const { next, context } = await upgrade(cookie({ user: 'Ada' }), { url: '/chat' })
    expect(await next()).toBe('Welcome to the chat, Ada')
    expect(context.session.user).toBe('Ada')
    detach()
  })

  it('is a fault, and ends its socket, where it throws', async () => {
    const { cookie, upgrade, faults } = await startTestBridge({
      onConnection() {
        throw new Error('out of order')
      },
    })
    const { closed } = await upgrade(cookie())
    expect((await closed).code).toBe(1011)
    expect(faults).toMatchObject([{ message: 'out of order' }])
  })

  it('gets no context of an anonymous request', async () => {
    const contexts: unknown[] = []
    const { upgrade, close } = await createTestBridge({
      anonymous: 'accept',
      onConnection: (_ws, _request, context) => void contexts.push(context),
    })
    atEnd(close)
    const { context, ws } = await upgrade()
    expect(context).toBeUndefined()
    expect(contexts).toEqual([undefined])
    expect(ws.readyState).toBe(WebSocket.OPEN)
  })
})

describe('closing a test bridge', () => {
  it('closes its sockets as a shutdown does, and is harmless a second time', async () => {
    const { cookie, upgrade, close } = await startTestBridge()
    const { closed } = await upgrade(cookie({ user: 'Ada' }))
    await Promise.all([close(), close()])
    expect(await closed).toEqual({ code: 1001, reason: 'shutdown' })
    await expect(upgrade(cookie())).rejects.toThrow('closed')
  })

  it('refuses whose handshake is under way', async () => {
    const gate = createGate()
    const { cookie, upgrade, close } = await startTestBridge({ authorize: () => gate.wait().then(() => true) })
    const upgraded = upgrade(cookie({ user: 'Ada' }))
    await gate.arrived
    await close()
    expect((await upgraded).refusal).toMatchObject({ reason: 'shutting-down', status: 503 })
  })

  it('leaves no caller waiting who comes too late', async () => {
    const { cookie, upgrade, close } = await startTestBridge()
    const closing = close()
    await expect(upgrade(cookie())).rejects.toThrow('closed')
    await closing
  })

  it('is what Symbol.asyncDispose does', async () => {
    const kit = await createTestBridge()
    const { closed } = await kit.upgrade(kit.cookie())
    await kit[Symbol.asyncDispose]()
    expect((await closed).code).toBe(1001)
  })

  it('closes a server that was made to listen', async () => {
    const { server, close } = await createTestBridge()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    await close()
    expect(server.listening).toBe(false)
  })
})

describe('misuse of a test bridge', () => {
  it.each<[what: string, options: unknown, names: string]>([
    ['a store', { session: { store: {} } }, 'session.store'],
    ['a secret', { session: { secret: 'a secret' } }, 'session.secret'],
    ['a LiveStore', { live: {} }, 'live'],
    ['a misspelt option', { authorise: () => true }, 'authorise'],
    ['an authorize that is none', { authorize: true }, 'authorize'],
    ['a session that is none', { session: 5 }, 'session'],
    ['a listener that is none', { onConnection: {} }, 'onConnection'],
    ['a ws server of a port', { wss: { options: {} } }, 'noServer'],
    ['no object', null, 'createTestBridge'],
    ['a list', ['/chat'], 'createTestBridge'],
    ['a RegExp', /chat/, 'createTestBridge'],
    ['a session that is a list', { session: [] }, 'session'],
  ])('is %s, a TypeError that names it', async (_what, options, names) => {
    const made = createTestBridge(options as TestBridgeOptions)
    await expect(made).rejects.toThrow(TypeError)
    await expect(made).rejects.toThrow(names)
  })

  it('is data that no session has', async () => {
    const { cookie } = await startTestBridge()
    expect(() => cookie(null as never)).toThrow(TypeError)
    expect(() => cookie('Ada' as never)).toThrow(TypeError)
    expect(() => cookie({ cookie: {} } as never)).toThrow('second argument')
    expect(() => cookie({}, 60_000 as never)).toThrow('cookie: the second argument must be an object')
  })

  it('is a cookie or a URL that no client could send', async () => {
    const { cookie, upgrade } = await startTestBridge()
    await expect(upgrade({ user: 'Ada' } as never)).rejects.toThrow(TypeError)
    await expect(upgrade(cookie(), { url: 'http://[' })).rejects.toThrow('`url`')
    await expect(upgrade(cookie(), '/chat' as never)).rejects.toThrow('upgrade: the options must be an object')
    await expect(upgrade(cookie(), { path: '/chat' } as never)).rejects.toThrow('option `path` is unknown')
  })

  it('is the change of a session that is not there', async () => {
    const { cookie, change, end } = await startTestBridge()
    const signed = cookie({ user: 'Ada' })
    await end(signed)
    await end(signed)
    await expect(change(signed, () => undefined)).rejects.toMatchObject({ code: 'SESSION_ENDED' })
    await expect(change(5 as never, () => undefined)).rejects.toThrow(TypeError)
  })
})
