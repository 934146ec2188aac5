import { once } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import { CloseCode, SessionEndedError, type SessionContext } from 'ws-session-bridge'
import { cookieOf, startApp, type App } from '../support/app.js'
import { open, refused } from '../support/client.js'
import { connect, endOf, sessionIDOf } from './connected.js'

/** An app whose sockets answer each message with what their session says. */
function startEcho(options: Parameters<typeof startApp>[0] = {}): Promise<App> {
  return startApp({
    ...options,
    onConnection(ws, _request, context) {
      ws.on('message', () => ws.send(JSON.stringify(context.session)))
    },
  })
}

async function ask(client: { ws: { send(text: string): void }; next(): Promise<string> }): Promise<unknown> {
  client.ws.send('who?')
  return JSON.parse(await client.next())
}

describe('an HTTP request that changes the session', () => {
  it('is read by the next message of every tab, without a store call for it', async () => {
    const app = await startEcho({ bridge: { keepAlive: 'never' } })
    const cookie = await app.login('ada')
    const tabs = [await connect(app, cookie), await connect(app, cookie)]
    const changes = tabs.map(({ context }) => once(context, 'change'))
    await app.call('POST', '/set?key=user&value=grace', cookie)
    await Promise.all(changes)
    const get = vi.spyOn(app.store, 'get')
    for (const { client } of tabs) expect(await ask(client)).toMatchObject({ user: 'grace' })
    expect(get).not.toHaveBeenCalled()
  })

  it('is there for the message that is sent when its answer has come', async () => {
    const app = await startEcho()
    const cookie = await app.login('ada')
    const { client } = await connect(app, cookie)
    for (const name of ['b', 'c', 'd', 'e', 'f', 'g']) {
      await app.call('POST', `/set?key=user&value=${name}`, cookie)
      expect(await ask(client)).toMatchObject({ user: name })
    }
  })

  it('says nothing to the sockets of another session', async () => {
    const app = await startEcho()
    const [ada, bob] = [await app.login('ada'), await app.login('bob')]
    const { context } = await connect(app, bob)
    const changed = vi.fn()
    context.on('change', changed)
    const { context: own } = await connect(app, ada)
    const change = once(own, 'change')
    await app.call('POST', '/set?key=user&value=grace', ada)
    await change
    expect(changed).not.toHaveBeenCalled()
    expect(context.session.user).toBe('bob')
  })
})

describe('a logout by HTTP', () => {
  it('closes every tab with 4401, and lets no client in again', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const tabs = [await connect(app, cookie), await connect(app, cookie), await connect(app, cookie)]
    await app.call('POST', '/logout', cookie)
    for (const { client, context } of tabs) {
      expect(await client.closed).toEqual({ code: 4401, reason: 'destroyed' })
      expect(context.ended).toEqual({ reason: 'destroyed', code: CloseCode.destroyed })
    }
    expect((await refused(app.wsUrl, { cookie })).status).toBe(401)
    expect(app.bridge.stats()).toMatchObject({ sockets: 0, sessions: 0, ended: { destroyed: 3 } })
  })

  it('closes a socket that only listens', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const client = await open(app.wsUrl, { cookie })
    await app.call('POST', '/logout', cookie)
    expect((await client.closed).code).toBe(4401)
  })

  it('leaves the sockets of others open', async () => {
    const app = await startEcho()
    const [ada, bob] = [await app.login('ada'), await app.login('bob')]
    const { client: leaving } = await connect(app, ada)
    const { client: staying } = await connect(app, bob)
    await app.call('POST', '/logout', ada)
    await leaving.closed
    expect(await ask(staying)).toMatchObject({ user: 'bob' })
  })
})

describe('a login that regenerates the session', () => {
  it('closes the old one’s sockets with 4401, and the reconnect with the new cookie gets in', async () => {
    const app = await startEcho()
    const before = await app.login('visitor')
    const { client, context } = await connect(app, before)
    const after = cookieOf(await app.call('POST', '/regenerate?name=ada', before))
    expect((await client.closed).code).toBe(4401)
    expect(context.sessionID).toBe(sessionIDOf(app, before))
    expect((await refused(app.wsUrl, { cookie: before })).status).toBe(401)
    const again = await connect(app, after)
    expect(await ask(again.client)).toMatchObject({ user: 'ada' })
    expect(again.context.sessionID).not.toBe(context.sessionID)
  })
})

describe('a role taken away', () => {
  it('closes the sockets with 4403, and the session stays', async () => {
    const authorize = vi.fn(({ role }: SessionContext['session']) => role === 'admin')
    const app = await startApp({ bridge: { authorize } })
    const cookie = await app.login('ada', 'admin')
    const { client, context } = await connect(app, cookie)
    expect(authorize).toHaveBeenCalledTimes(1)
    await app.call('POST', '/set?key=role&value=guest', cookie)
    expect(await client.closed).toEqual({ code: 4403, reason: 'forbidden' })
    expect(context.ended).toEqual({ reason: 'forbidden', code: CloseCode.forbidden })
    expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({ user: 'ada', role: 'guest' })
    expect((await refused(app.wsUrl, { cookie })).status).toBe(403)
  })

  it('is judged with the handshake and without a request', async () => {
    const authorize = vi.fn((...asked: unknown[]) => asked.length === 3)
    const app = await startApp({ bridge: { authorize } })
    const cookie = await app.login('ada')
    const { context } = await connect(app, cookie)
    const change = once(context, 'change')
    await app.call('POST', '/set?key=role&value=guest', cookie)
    await change
    expect(authorize.mock.calls.map(([session]) => session)).toMatchObject([{ user: 'ada' }, { role: 'guest' }])
    const [[, first, atFirst], [, request, handshake]] = authorize.mock.calls as [unknown[], unknown[]]
    expect(first).toMatchObject({ url: '/ws' })
    expect(request).toBeUndefined()
    expect(handshake).toBe(context.handshake)
    expect(atFirst).toBe(context.handshake)
    expect(context.ended).toBeUndefined()
  })

  it('ends only the sockets that may not stay', async () => {
    const app = await startApp({
      mount: {},
      bridge: { authorize: ({ role }, _request, { url }) => role === 'admin' || url !== '/admin' },
    })
    const cookie = await app.login('ada', 'admin')
    const admin = await open(app.wsUrl.replace('/ws', '/admin'), { cookie })
    const { context } = await connect(app, cookie)
    const change = once(context, 'change')
    await app.call('POST', '/set?key=role&value=guest', cookie)
    expect((await admin.closed).code).toBe(4403)
    await change
    expect(context.ended).toBeUndefined()
  })
})

describe('everything cleared from the store', () => {
  it('closes all sockets with 4401', async () => {
    const app = await startApp()
    const clients = []
    for (const name of ['ada', 'bob']) clients.push((await connect(app, await app.login(name))).client)
    app.store.clear?.()
    for (const { closed } of clients) expect((await closed).code).toBe(4401)
  })
})

describe('a logout by the bridge', () => {
  it('by ID, from a job, closes all sockets, and resolves when the session is gone', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const { client, context } = await connect(app, cookie)
    await app.bridge.destroy(sessionIDOf(app, cookie))
    expect(await app.bridge.load(context.sessionID)).toBeUndefined()
    expect(context.ended?.reason).toBe('destroyed')
    expect((await client.closed).code).toBe(4401)
  })

  it('by ID is harmless where there are no sockets, or no such session', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    await app.bridge.destroy(sessionIDOf(app, cookie))
    await app.bridge.destroy(sessionIDOf(app, cookie))
    expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({})
  })

  it('from a handler logs HTTP out, too', async () => {
    const app = await startApp({
      onConnection(ws, _request, context) {
        ws.on('message', () => void context.destroy())
      },
    })
    const cookie = await app.login('ada')
    const { client, context } = await connect(app, cookie)
    client.ws.send('log me out')
    expect((await client.closed).code).toBe(4401)
    expect(await endOf(context)).toEqual({ reason: 'destroyed', code: 4401 })
    expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({})
    await expect(context.destroy()).rejects.toThrow(SessionEndedError)
  })
})

describe('an update by the bridge', () => {
  it('by ID is seen by HTTP and by the sockets', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const { context } = await connect(app, cookie)
    const changed = vi.fn()
    context.on('change', changed)
    const session = await app.bridge.update(context.sessionID, (draft) => {
      draft.role = 'admin'
    })
    expect(session).toMatchObject({ user: 'ada', role: 'admin' })
    expect(context.session).toMatchObject({ user: 'ada', role: 'admin' })
    expect(changed).toHaveBeenCalledTimes(1)
    expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({ user: 'ada', role: 'admin' })
  })

  it('by ID works without any socket', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    await app.bridge.update(sessionIDOf(app, cookie), (draft) => {
      draft.role = 'admin'
    })
    expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({ user: 'ada', role: 'admin' })
    expect(app.bridge.stats()).toMatchObject({ sockets: 0, sessions: 0 })
  })

  it('from a handler is seen by HTTP and by the other tabs', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const { context } = await connect(app, cookie)
    const { context: other } = await connect(app, cookie)
    const change = once(other, 'change')
    await context.update((draft) => {
      draft.user = 'grace'
    })
    await change
    expect(other.session.user).toBe('grace')
    expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({ user: 'grace' })
  })
})
