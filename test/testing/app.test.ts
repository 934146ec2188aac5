// HTTP and sockets share sessions and a clock.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import express from 'express'
import session from 'express-session'
import { describe, expect, it } from 'vitest'
import type { TestBridgeOptions } from 'ws-session-bridge/testing'
import { cookieOf } from '../support/app.js'
import { sessionRoutes } from '../support/session-routes.js'
import { startTestBridge } from './test-bridge.js'

const minuteMs = 60_000

async function startWithApp(options: TestBridgeOptions = { session: { cookie: { maxAge: 60 * minuteMs } } }) {
  const kit = await startTestBridge(options)
  const app = express()
  app.use(session(kit.sessionOptions), sessionRoutes())
  app.post('/save', (request, _response, next) => {
    // Saved before the middleware has put off the expiry: the date is the one that was read.
    request.session.views = 1
    request.session.save((error: unknown) => {
      if (error) next(error)
      else request.socket.destroy()
    })
  })
  kit.server.on('request', app).listen(0, '127.0.0.1')
  await once(kit.server, 'listening')
  const url = `http://127.0.0.1:${(kit.server.address() as AddressInfo).port}`
  const call = async (method: string, path: string, cookie = '') => {
    const response = await fetch(url + path, { method, headers: { cookie } })
    await response.clone().arrayBuffer()
    return response
  }
  return { ...kit, call }
}

describe('an Express app on the options of a test bridge', () => {
  it('knows the sessions that the test made, and the other way round', async () => {
    const { cookie, upgrade, call } = await startWithApp()
    expect(await (await call('GET', '/me', cookie({ user: 'Ada' }))).json()).toEqual({ user: 'Ada' })
    const { context } = await upgrade(cookieOf(await call('POST', '/login?name=Grace')))
    expect(context.session.user).toBe('Grace')
  })

  it('logs the sockets of a session out', async () => {
    const { cookie, upgrade, call } = await startWithApp()
    const signed = cookie({ user: 'Ada' })
    const { closed } = await upgrade(signed)
    await call('POST', '/logout', signed)
    expect(await closed).toEqual({ code: 4401, reason: 'destroyed' })
  })

  it('puts off the expiry with every request, by the clock', async () => {
    const { cookie, upgrade, call, clock } = await startWithApp()
    const signed = cookie({ user: 'Ada' })
    const { context } = await upgrade(signed)
    await clock.advance(40 * minuteMs)
    await call('GET', '/me', signed)
    // express-session may have shortened `originalMaxAge` by the milliseconds that passed meanwhile.
    await clock.advance(60 * minuteMs - 1_000)
    expect(context.ended).toBeUndefined()
    await clock.advance(1_000)
    expect(context.ended?.reason).toBe('expired')
    expect(await (await call('GET', '/me', signed)).json()).toEqual({})
  })

  it('does not make a session live longer by saving it as it was read', async () => {
    const { cookie, upgrade, call, clock } = await startWithApp()
    const signed = cookie({ user: 'Ada' })
    await clock.advance(40 * minuteMs)
    const { context } = await upgrade(signed)
    await expect(call('POST', '/save', signed)).rejects.toThrow()
    expect(context.session.views).toBe(1)
    await clock.advance(20 * minuteMs)
    expect(context.ended?.reason).toBe('expired')
  })

  it('shares a cookie that is a function of the request', async () => {
    const { cookie, upgrade, clock, call } = await startWithApp({
      session: { cookie: () => ({ maxAge: minuteMs, secure: 'auto' }) },
    })
    const signed = cookie({ user: 'Ada' })
    expect(await (await call('GET', '/me', signed)).json()).toEqual({ user: 'Ada' })
    await clock.advance(minuteMs)
    expect((await upgrade(signed)).refusal?.reason).toBe('no-session')
  })
})
