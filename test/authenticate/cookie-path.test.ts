import type { IncomingMessage } from 'node:http'
import { Router, type Request as ExpressRequest } from 'express'
import type { CookieOptions } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import { createSessionBridge, type Verdict } from 'ws-session-bridge'
import { startApp } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { AskedStore, createExpressReader } from './express-reader.js'
import { requestWith } from './request.js'
import { statusOf } from './status.js'

/** Whether both look the session up for this target; they never differ. */
async function isLookedUp(cookie: CookieOptions, url: string): Promise<boolean> {
  const store = new AskedStore()
  const bridge = createSessionBridge({ session: { secret: 'a secret', cookie, store } })
  const header = bridge.signedCookie('id')
  await bridge.authenticate(requestWith({ cookie: header }, url))
  const readByExpress = createExpressReader({ secret: 'a secret', cookie })
  expect(store.asked).toBe(readByExpress(header, { url, originalUrl: url }))
  return store.asked === 'id'
}

describe('cookie, its path', () => {
  it.each(['/app', '/app/', '/app/ws', '/app?a=b', '/apple', 'http://host.test/app'])('/app covers %s', async (url) => {
    expect(await isLookedUp({ path: '/app' }, url)).toBe(true)
  })

  it.each(['/', '/ap', '/App', '/ws', '/ws/app', '/ws?/app', '//app', 'http://host.test/ws?/app'])(
    '/app does not cover %s',
    async (url) => {
      expect(await isLookedUp({ path: '/app' }, url)).toBe(false)
    },
  )

  it.each([{}, { path: '/' }, { path: '' }])('%o covers everything', async (cookie) => {
    expect(await isLookedUp(cookie, '/ws')).toBe(true)
    expect(await isLookedUp(cookie, '/')).toBe(true)
  })

  it('is no-cookie outside, without a question to the store', async () => {
    const app = await startApp({ session: { cookie: { path: '/app' } }, mount: {} })
    const get = vi.spyOn(app.store, 'get')
    const cookie = app.bridge.signedCookie('id')
    expect(await statusOf(app, { path: '/ws', cookie })).toBe(401)
    expect(app.refusals).toMatchObject([{ reason: 'no-cookie', status: 401 }])
    expect(get).not.toHaveBeenCalled()
    expect(await statusOf(app, { path: '/app/ws', cookie })).toBe(401)
    expect(app.refusals[1]).toMatchObject({ reason: 'no-session' })
  })

  it.each(['//[', '*', 'mailto:app', '/app#fragment', undefined])(
    'is no-cookie and no fault where %s has no path',
    async (url) => {
      const store = new AskedStore()
      const bridge = createSessionBridge({ session: { secret: 'a secret', cookie: { path: '/app' }, store } })
      const faults: unknown[] = []
      bridge.on('fault', (error) => faults.push(error))
      const request = Object.assign(requestWith({ cookie: bridge.signedCookie('id') }), { url })
      const verdict = await bridge.authenticate(request)
      expect(verdict).toMatchObject({ accepted: false, refusal: { reason: 'no-cookie' } })
      expect(faults).toEqual([])
      expect(store.asked).toBeUndefined()
    },
  )

  it('is compared with the whole path where a router has shortened it', async () => {
    const app = await startApp({ session: { cookie: { path: '/app' } } })
    const verdicts: Verdict[] = []
    const router = Router().get('/verdict', async (request, response) => {
      verdicts.push(await app.bridge.authenticate(request))
      response.end()
    })
    app.app.use('/app', router)
    await app.call('GET', '/app/verdict', app.bridge.signedCookie('id'))
    expect(verdicts).toMatchObject([{ refusal: { reason: 'no-session' } }])
  })
})

describe('cookie, a function of the request', () => {
  it('is asked with the upgrade request', async () => {
    const cookie = vi.fn((request: IncomingMessage) => ({
      path: request.headers.host === 'app.test' ? '/ws' : '/admin',
    }))
    const app = await startApp({ session: { cookie } })
    await statusOf(app, { host: 'app.test', cookie: app.bridge.signedCookie('id') })
    await statusOf(app, { host: 'admin.test', cookie: app.bridge.signedCookie('id') })
    expect(app.refusals.map(({ reason }) => reason)).toEqual(['no-session', 'no-cookie'])
    expect(cookie.mock.calls[0]?.[0]).toMatchObject({ url: '/ws', headers: { upgrade: 'websocket' } })
  })

  it.each(['an upgrade', 'an Express request'])('finds what Express gives a request, on %s', async (what) => {
    const seen: unknown[] = []
    const cookie = (request: ExpressRequest) => {
      const { hostname, protocol, secure, ip, path, query, originalUrl } = request
      seen.push({ hostname, protocol, secure, ip, path, query: { ...query }, originalUrl })
      seen.push([request.get('Host'), request.header('REFERER')])
      return {}
    }
    const app = await startApp({ bridge: { trustProxy: true } })
    const bridge = createSessionBridge({ session: { ...app.sessionOptions, cookie: cookie as never } })
    atEnd(() => bridge.close())
    bridge.attach(app.server, app.wss, { path: '/cookie' })
    app.app.get('/cookie', async (request, response) => {
      await bridge.authenticate(request)
      response.end()
    })
    const host = `127.0.0.1:${app.port}`
    if (what === 'an Express request') {
      await fetch(`${app.url}/cookie?room=1`, { headers: { referer: 'http://app.test/' } })
    } else {
      await statusOf(app, { host, path: '/cookie?room=1', headers: { Referer: 'http://app.test/' } })
    }
    expect(seen).toEqual([
      {
        hostname: '127.0.0.1',
        protocol: 'http',
        secure: false,
        ip: '127.0.0.1',
        path: '/cookie',
        query: { room: '1' },
        originalUrl: '/cookie?room=1',
      },
      [host, 'http://app.test/'],
    ])
  })

  it('that throws is a fault, and lets no client in', async () => {
    const broken = new Error('the cookie function is broken')
    const cookie = () => {
      throw broken
    }
    const app = await startApp({ session: { cookie } })
    expect(await statusOf(app, { cookie: app.bridge.signedCookie('id') })).toBe(500)
    const fault = { message: expect.stringContaining('Option `session.cookie`') as string, cause: broken }
    expect(app.refusals).toMatchObject([{ reason: 'authorize-failed', status: 500, error: fault }])
    expect(app.faults).toMatchObject([fault])
  })
})
