// it does what the page says.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import express from 'express'
import session from 'express-session'
import { WebSocket, WebSocketServer } from 'ws'
import { describe, expect, it } from 'vitest'
import type { ConnectionListener, SessionBridge } from 'ws-session-bridge'
// #region docs
import { createTestBridge } from 'ws-session-bridge/testing'

const hourMs = 3_600_000

const chat: ConnectionListener = (ws, _request, context) => {
  ws.on('message', (data: Buffer) => {
    ws.send(`${context.session.user} says ${data.toString()}`)
  })
}

it('says who speaks, until the session expires', async () => {
  const { cookie, upgrade, clock, close } = await createTestBridge({
    session: { cookie: { maxAge: hourMs } },
    onConnection: chat,
  })
  const { ws, next, closed } = await upgrade(cookie({ user: 'Ada' }))
  ws.send('hello')
  expect(await next()).toBe('Ada says hello')

  await clock.advance(hourMs)
  expect(await closed).toEqual({ code: 4401, reason: 'expired' })
  await close()
})
// #endregion

describe('docs/testing.md', () => {
  it('lets in whom authorize lets in', async () => {
    // #region docs
    const { cookie, upgrade, close } = await createTestBridge({ authorize: ({ role }) => role === 'admin' })

    const { refusal } = await upgrade(cookie({ user: 'Mallory', role: 'guest' }))
    expect(refusal).toEqual({ reason: 'forbidden', status: 403 })

    const { context } = await upgrade(cookie({ user: 'Ada', role: 'admin' }))
    expect(context.session.user).toBe('Ada')
    // #endregion
    await close()
  })

  it('shows what a change does', async () => {
    // #region docs
    const { cookie, upgrade, change, end, close } = await createTestBridge({
      authorize: ({ role }) => role === 'admin',
      onConnection(ws, _request, context) {
        context.on('change', ({ user }) => ws.send(`You are ${user} now`))
      },
    })
    const ada = cookie({ user: 'Ada', role: 'admin' })
    const first = await upgrade(ada)
    await change(ada, (draft) => {
      draft.user = 'Ada Lovelace'
    })
    expect(await first.next()).toBe('You are Ada Lovelace now')

    await change(ada, (draft) => {
      draft.role = 'guest'
    })
    expect(first.context.ended).toEqual({ reason: 'forbidden', code: 4403 })

    const grace = cookie({ user: 'Grace', role: 'admin' })
    const second = await upgrade(grace)
    await end(grace)
    expect(second.ws.readyState).toBe(WebSocket.CLOSED)
    // #endregion
    await close()
  })

  it('attaches an app by its own lines', async () => {
    function serveChat(bridge: SessionBridge, server: Parameters<SessionBridge['attach']>[0]): void {
      bridge.attach(server, new WebSocketServer({ noServer: true }), { path: '/chat', onConnection: chat })
    }
    // #region docs
    const { bridge, server, sessionOptions, cookie, upgrade, close } = await createTestBridge()
    const app = express()
    app.use(session(sessionOptions))
    app.get('/me', ({ session: { user } }, response) => void response.json({ user }))
    server.on('request', app)
    serveChat(bridge, server) // your own: it calls bridge.attach

    const ada = cookie({ user: 'Ada' })
    const { ws, next } = await upgrade(ada, { url: '/chat', origin: 'http://localhost' })
    ws.send('hello')
    expect(await next()).toBe('Ada says hello')

    // HTTP needs a port; close() closes it.
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as AddressInfo
    const response = await fetch(`http://127.0.0.1:${port}/me`, { headers: { cookie: ada } })
    expect(await response.json()).toEqual({ user: 'Ada' })
    // #endregion
    await close()
  })

  it('takes the store away', async () => {
    // #region docs
    const { store, clock, cookie, upgrade, close } = await createTestBridge({ revalidateMs: 10_000 })
    const ada = cookie({ user: 'Ada' })
    const { closed } = await upgrade(ada)
    store.emit('disconnect')
    expect((await upgrade(ada)).refusal?.reason).toBe('store-failed')

    await clock.advance(80_000)
    expect(await closed).toEqual({ code: 1013, reason: 'unverified' })
    store.emit('connect')
    // #endregion
    expect((await upgrade(ada)).refusal).toBeUndefined()
    await close()
  })
})
