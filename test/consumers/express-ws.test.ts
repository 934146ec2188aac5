// routes with the session of HTTP.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { Router } from 'express'
import { describe, expect, it, vi } from 'vitest'
import { until } from '../live/bound.js'
import { startApp } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { open, refused } from '../support/client.js'
import { forgedFrom } from '../support/forged-cookie.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'
import { textFrame } from '../upgrade/raw-socket.js'
import { bridgedExpressWs } from './express-ws-app.js'

async function startExpressWs() {
  // The fixture's own mount has a path of its own, and leaves the others alone.
  const app = await startApp({ mount: { path: '/mounted' } })
  const { app: routes, applyTo } = bridgedExpressWs(app.app, app.server, app.bridge)
  const opened = vi.fn()
  routes.ws('/chat', (ws, request) => {
    opened()
    const context = app.bridge.contextOf(ws)!
    ws.on('message', () => {
      const { session } = request
      session.views = (session.views ?? 0) + 1
      session.save((error: Error | null) => {
        ws.send(error ? error.name : `${context.session.user ?? ''}: ${context.session.views ?? 0}`)
      })
    })
  })
  const rooms = Router()
  applyTo(rooms)
  rooms.ws('/:room', (ws, { params, session }) => ws.send(`${session.user ?? ''} in ${String(params.room)}`))
  routes.use('/rooms', rooms)
  const wsUrl = app.url.replace('http', 'ws')
  return { ...app, opened, wsUrl, chat: `${wsUrl}/chat` }
}

describe('express-ws behind the bridge', () => {
  it('reads the session in a route, as it is now, and saves it', async () => {
    const app = await startExpressWs()
    const cookie = await app.login('ada')
    const { ws, next } = await open(app.chat, { cookie })
    ws.send('Who am I?')
    expect(await next()).toBe('ada: 1')
    await app.call('POST', '/login?name=grace', cookie)
    await until(() => [...app.bridge.connections()].every(({ session }) => session.user === 'grace'))
    ws.send('Who am I now?')
    expect(await next()).toBe('grace: 2')
    expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({ user: 'grace', views: 2 })
  })

  it('has it in the routes of a router, with their parameters', async () => {
    const app = await startExpressWs()
    const { next } = await open(`${app.wsUrl}/rooms/7?query=1`, { cookie: await app.login('ada') })
    expect(await next()).toBe('ada in 7')
  })

  it('hears a message that comes along with the upgrade, in spite of the session middleware', async () => {
    const app = await startExpressWs()
    const request = upgradeRequest({ path: '/chat', cookie: await app.login('ada') })
    expect(await rawRequest(app.port, request + textFrame('early')).receivedUntil('ada: 1')).toContain('101')
  })

  it('never runs a route for a forged cookie, or without one', async () => {
    const app = await startExpressWs()
    for (const cookie of [forgedFrom(await app.login('ada')), undefined]) {
      expect((await refused(app.chat, { cookie })).status).toBe(401)
    }
    expect(app.opened).not.toHaveBeenCalled()
    expect(app.refusals).toMatchObject([{ reason: 'bad-signature' }, { reason: 'no-cookie' }])
  })

  it('closes the socket when the session logs out', async () => {
    const app = await startExpressWs()
    const cookie = await app.login('ada')
    const { ws, closed } = await open(app.chat, { cookie })
    await app.call('POST', '/logout', cookie)
    ws.send('too late')
    expect(await closed).toEqual({ code: 4401, reason: 'destroyed' })
    expect(app.store).toHaveProperty('sessions', {})
    await until(() => app.bridge.stats().sockets === 0)
    expect(app.bridge.stats()).toMatchObject({ sessions: 0, faults: 0 })
  })

  it('closes a socket that no route wants', async () => {
    const app = await startExpressWs()
    const { closed } = await open(`${app.wsUrl}/nowhere`, { cookie: await app.login('ada') })
    expect((await closed).code).toBe(1005)
    await until(() => app.bridge.stats().sockets === 0)
  })

  it('opens no socket past the bridge when listen() is called on the app', async () => {
    const app = await startExpressWs()
    const past = app.app.listen(0, '127.0.0.1')
    atEnd(() => past.close())
    await once(past, 'listening')
    const { port } = past.address() as AddressInfo
    const cookie = await app.login('ada')
    expect((await refused(`ws://127.0.0.1:${port}/chat`, { cookie })).status).toBe(404)
    expect(app.opened).not.toHaveBeenCalled()
  })
})
