import { describe, expect, it, vi } from 'vitest'
import type { SessionBridgeOptions } from 'ws-session-bridge'
import { startApp } from '../support/app.js'
import { requestWith } from './request.js'
import { statusOf } from './status.js'

type Rules = Pick<SessionBridgeOptions, 'origins' | 'requireOrigin' | 'trustProxy'>

async function startWith(rules: Rules) {
  const app = await startApp({ bridge: rules })
  const cookie = await app.login('ada')
  return {
    app,
    status: (headers: Record<string, string | string[]>) => statusOf(app, { cookie, host: 'app.test', headers }),
  }
}

describe('origin, a list', () => {
  it('holds exact origins, however their entries were written', async () => {
    const { status } = await startWith({
      origins: ['HTTPS://Shop.Test:443', 'http://[::1]:3000', 'http://dev.test:80'],
    })
    expect(await status({ origin: 'https://shop.test' })).toBe(101)
    expect(await status({ origin: 'HTTPS://SHOP.TEST' })).toBe(101)
    expect(await status({ origin: 'http://[::1]:3000' })).toBe(101)
    expect(await status({ origin: 'http://dev.test' })).toBe(101)
  })

  it.each([
    'http://shop.test',
    'https://shop.test:8443',
    'https://shop.test/',
    'https://www.shop.test',
    'https://shop.test.evil.test',
    'https://evil.test@shop.test',
    'https://shop.test\\@evil.test',
    'https://shop.test, https://shop.test',
    'null',
    '',
  ])('refuses %j', async (origin) => {
    const { status } = await startWith({ origins: ['https://shop.test'] })
    expect(await status({ origin })).toBe(403)
  })

  it.each([' https://shop.test', 'https://shop.test ', '\u0000https://shop.test'])(
    'compares the header as it was sent: %j',
    async (origin) => {
      const { app } = await startWith({ origins: ['https://shop.test'] })
      const verdict = await app.bridge.authenticate(requestWith({ origin }))
      expect(verdict).toMatchObject({ accepted: false, refusal: { reason: 'origin-denied' } })
    },
  )

  it("does not hold the server's own origin unless it says so", async () => {
    const { status } = await startWith({ origins: ['https://shop.test'] })
    expect(await status({ origin: 'http://app.test' })).toBe(403)
  })

  it('holds origins of app shells and null exactly as they are sent, and those alone', async () => {
    const origins = ['capacitor://localhost', 'app://-', 'file://', 'null', 'chrome-extension://AbC']
    const { status } = await startWith({ origins })
    for (const origin of origins) expect(await status({ origin })).toBe(101)
    const others = ['capacitor://localhost:80', 'CAPACITOR://localhost', 'app://', 'file:///', 'NULL', 'app://-/x']
    for (const origin of others) expect(await status({ origin })).toBe(403)
    const { status: withoutNull } = await startWith({ origins: ['file://'] })
    expect(await withoutNull({ origin: 'null' })).toBe(403)
  })

  it("may hold 'same-origin' beside others", async () => {
    const { status } = await startWith({ origins: ['same-origin', 'https://shop.test'] })
    expect(await status({ origin: 'http://app.test' })).toBe(101)
    expect(await status({ origin: 'https://shop.test' })).toBe(101)
    expect(await status({ origin: 'http://evil.test' })).toBe(403)
    expect(await status({ origin: 'same-origin' })).toBe(403)
  })

  it('may be empty: then no page connects', async () => {
    const { status } = await startWith({ origins: [] })
    expect(await status({ origin: 'http://app.test' })).toBe(403)
  })
})

describe('origin, a function', () => {
  it('is asked for every single value, null included, with the request', async () => {
    const origins = vi.fn((origin: string, request: { url?: string | undefined }) => {
      return request.url === '/ws' && origin !== 'http://evil.test'
    })
    const { status } = await startWith({ origins })
    expect(await status({ origin: 'null' })).toBe(101)
    expect(await status({ origin: 'capacitor://localhost' })).toBe(101)
    expect(await status({ origin: 'http://evil.test' })).toBe(403)
    expect(origins.mock.calls.map(([origin]) => origin)).toEqual(['null', 'capacitor://localhost', 'http://evil.test'])
  })

  it('is not asked about several values, or none: they are refused', async () => {
    const origins = vi.fn(() => true)
    const { status } = await startWith({ origins })
    const pages = ['http://app.test', 'http://evil.test']
    for (const origin of [pages, pages.join(' '), pages.join(','), '']) expect(await status({ origin })).toBe(403)
    expect(origins).not.toHaveBeenCalled()
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('origins is broken')
      },
    ],
    ['returns a promise', () => Promise.resolve(false) as never],
    ['returns a promise that rejects', () => Promise.reject(new Error('late')) as never],
    ['returns what is no boolean', () => 'yes' as never],
    ['returns nothing', () => undefined as never],
  ])('refuses with 500 and tells of a fault when it %s', async (_what, origins: () => boolean) => {
    const { app, status } = await startWith({ origins })
    const get = vi.spyOn(app.store, 'get')
    expect(await status({ origin: 'http://app.test' })).toBe(500)
    expect(app.refusals).toMatchObject([{ reason: 'authorize-failed', status: 500 }])
    expect(app.faults).toEqual([app.refusals[0]?.error])
    expect(String(app.faults[0])).toMatch(/origins is broken|must return true or false, at once/)
    expect(get).not.toHaveBeenCalled()
  })
})

describe("origin, 'any'", () => {
  it.each(['http://evil.test', 'null', '', 'http://a.test, http://b.test', 'junk'])('lets in %j', async (origin) => {
    const { status } = await startWith({ origins: 'any' })
    expect(await status({ origin })).toBe(101)
  })

  it('lets in what has none', async () => {
    const { status } = await startWith({ origins: 'any' })
    expect(await status({})).toBe(101)
  })

  it('still wants one with requireOrigin', async () => {
    const { status } = await startWith({ origins: 'any', requireOrigin: true })
    expect(await status({})).toBe(403)
    expect(await status({ origin: 'null' })).toBe(101)
  })
})

describe('origin, requireOrigin', () => {
  it('refuses a request without one', async () => {
    const { status } = await startWith({ requireOrigin: true })
    expect(await status({})).toBe(403)
    expect(await status({ 'Sec-Fetch-Site': 'same-origin' })).toBe(403)
    expect(await status({ origin: 'http://app.test' })).toBe(101)
  })
})

describe('origin, none but Sec-Fetch-Site', () => {
  it.each([
    ['same-origin', 101],
    ['none', 101],
    ['same-site', 403],
    ['cross-site', 403],
    ['', 403],
    ['same-origin, cross-site', 403],
  ])('%j is answered %i', async (site, expected) => {
    const { status } = await startWith({})
    expect(await status({ 'Sec-Fetch-Site': site })).toBe(expected)
  })

  it('holds for a list and a function too, and for no origin with `any`', async () => {
    const headers = { 'Sec-Fetch-Site': 'cross-site' }
    expect(await (await startWith({ origins: ['http://app.test'] })).status(headers)).toBe(403)
    expect(await (await startWith({ origins: () => true })).status(headers)).toBe(403)
    expect(await (await startWith({ origins: 'any' })).status(headers)).toBe(101)
  })
})

describe('origin, trustProxy', () => {
  it.each([
    ['the forwarded host', 'shop.test', 'https://shop.test', 101],
    ['the last of several', 'evil.test, shop.test', 'https://shop.test', 101],
    ['not the first, which a client may have written', 'evil.test, shop.test', 'https://evil.test', 403],
    ['no longer the Host', 'shop.test', 'http://app.test', 403],
    ['nothing where the last is empty', 'shop.test,', 'https://shop.test', 403],
    ['nothing where the last is empty, and a port alone is no host', 'shop.test,', 'https://:443', 403],
    ['a default port', 'shop.test:443', 'https://shop.test', 101],
  ])('compares with %s', async (_what, forwarded, origin, expected) => {
    const { status } = await startWith({ trustProxy: true })
    expect(await status({ origin, 'X-Forwarded-Host': forwarded })).toBe(expected)
  })

  it('takes the last of several headers', async () => {
    const { status } = await startWith({ trustProxy: true })
    const forwarded = ['evil.test', 'shop.test']
    expect(await status({ origin: 'http://shop.test', 'X-Forwarded-Host': forwarded })).toBe(101)
    expect(await status({ origin: 'http://evil.test', 'X-Forwarded-Host': forwarded })).toBe(403)
  })

  it('falls back to Host where nothing was forwarded', async () => {
    const { status } = await startWith({ trustProxy: true })
    expect(await status({ origin: 'http://app.test' })).toBe(101)
  })

  it('is off by default: what a client forwards by itself is not believed', async () => {
    const { status } = await startWith({})
    expect(await status({ origin: 'http://evil.test', 'X-Forwarded-Host': 'evil.test' })).toBe(403)
  })
})

describe('a refusal of a page', () => {
  it.each<[string, Rules, Record<string, string>, string]>([
    ['Host', {}, { origin: 'https://shop.test' }, '"https://shop.test" does not match the Host header "app.test"'],
    [
      'X-Forwarded-Host',
      { trustProxy: true },
      { origin: 'https://shop.test', 'x-forwarded-host': 'evil.test, inner:80' },
      'does not match the X-Forwarded-Host header "inner:80"',
    ],
    [
      'the list',
      { origins: ['https://shop.test'] },
      { origin: 'http://app.test' },
      'is not in the list of option `origins`',
    ],
    ['requireOrigin', { requireOrigin: true }, {}, '`requireOrigin`'],
    ['Sec-Fetch-Site', {}, { 'sec-fetch-site': 'cross-site' }, 'Sec-Fetch-Site is "cross-site"'],
  ])('says what was compared with what: %s', async (_what, rules, headers, message) => {
    const { app, status } = await startWith(rules)
    expect(await status(headers)).toBe(403)
    const [refusal] = app.refusals
    expect(refusal?.error?.message).toContain(message)
    expect(refusal?.error?.message).not.toContain('connect.sid')
  })
})
