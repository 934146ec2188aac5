import { beforeAll, describe, expect, it, vi } from 'vitest'
import { startApp, type App } from '../support/app.js'
import { requestWith } from './request.js'
import { statusOf } from './status.js'

let app: App
let cookie: string
beforeAll(async () => {
  app = await startApp()
  cookie = await app.login('ada')
})

describe("origin, 'same-origin' by default", () => {
  it.each([
    ['http://app.test', 'app.test'],
    ['http://app.test:8080', 'app.test:8080'],
    ['HTTP://App.Test', 'aPP.tEST'],
    ['http://[::1]:8080', '[::1]:8080'],
    ['http://127.0.0.1', '127.0.0.1'],
  ])('lets in a page of %s at Host %s', async (origin, host) => {
    expect(await statusOf(app, { cookie, host, headers: { origin } })).toBe(101)
  })

  it.each([
    ['http://app.test', 'app.test:80'],
    ['http://app.test:80', 'app.test'],
    ['https://app.test', 'app.test:443'],
    ['https://app.test:443', 'app.test'],
    ['http://[::1]', '[::1]:80'],
  ])('takes the default port for none: %s at Host %s', async (origin, host) => {
    expect(await statusOf(app, { cookie, host, headers: { origin } })).toBe(101)
  })

  it('lets an https page in over a plain socket, for a proxy may have ended the encryption', async () => {
    expect(await statusOf(app, { cookie, host: 'app.test', headers: { origin: 'https://app.test' } })).toBe(101)
  })

  it.each([
    ['another site', 'http://evil.test'],
    ['a sibling subdomain', 'http://blog.app.test'],
    ['the parent domain', 'http://test'],
    ['a host that ends in ours', 'http://evil-app.test'],
    ['a host that begins with ours', 'http://app.test.evil.test'],
    ['another port', 'http://app.test:8080'],
    ["the other scheme's default port", 'http://app.test:443'],
    ['ours as the user name', 'http://app.test@evil.test'],
    ['ours after a user name', 'http://evil.test@app.test'],
    ['a backslash before the real host', 'https://app.test\\@evil.test'],
    ['an opaque origin', 'null'],
    ['nothing', ''],
    ['a file', 'file://'],
    ['an extension', 'chrome-extension://app.test'],
    ['an app', 'capacitor://app.test'],
    ['a path', 'http://app.test/'],
    ['a query', 'http://app.test?'],
    ['a scheme that ends in ours', 'web+http://app.test'],
    ['no scheme', 'app.test'],
    ['a list with a comma', 'http://app.test,http://evil.test'],
    ['a list with a blank', 'http://app.test http://evil.test'],
  ])('refuses %s: %j', async (_what, origin) => {
    expect(await statusOf(app, { cookie, host: 'app.test', headers: { origin } })).toBe(403)
  })

  it.each([' http://app.test', '\thttp://app.test', 'http://app.test ', '\u00a0http://app.test'])(
    'refuses blanks around the origin: %j',
    async (origin) => {
      const verdict = await app.bridge.authenticate(requestWith({ origin, host: 'app.test', cookie }))
      expect(verdict).toMatchObject({ accepted: false, refusal: { reason: 'origin-denied' } })
    },
  )

  it.each([
    ['another page first', ['http://evil.test', 'http://app.test']],
    ['another page last', ['http://app.test', 'http://evil.test']],
    ['the same page twice', ['http://app.test', 'http://app.test']],
  ])('refuses two Origin headers, %s', async (_what, origin) => {
    expect(await statusOf(app, { cookie, host: 'app.test', headers: { origin } })).toBe(403)
  })

  it.each([
    ['no Host', undefined],
    ['an empty Host', ''],
  ])('refuses a page when there is %s to compare it with', async (_what, host) => {
    expect(await statusOf(app, { cookie, headers: { host, origin: 'http://app.test' } })).toBe(403)
  })

  it('lets in what sends no Origin, for that is no browser', async () => {
    expect(await statusOf(app, { cookie, host: 'app.test' })).toBe(101)
  })

  it('does not ask the store about a page that may not connect', async () => {
    const get = vi.spyOn(app.store, 'get')
    expect(await statusOf(app, { cookie, host: 'app.test', headers: { origin: 'http://evil.test' } })).toBe(403)
    expect(get).not.toHaveBeenCalled()
  })

  it('tells of the page, not of the cookie, when both are wrong', async () => {
    expect(await statusOf(app, { host: 'app.test', headers: { origin: 'http://evil.test' } })).toBe(403)
    expect(app.refusals.at(-1)).toMatchObject({ reason: 'origin-denied', status: 403 })
  })
})
