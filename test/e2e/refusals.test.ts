// the close codes they can read, and the cookies the browser keeps.
import { sign } from 'cookie-signature'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { startApp, type App, type AppOptions } from '../support/app.js'
import { startChromium } from '../support/chromium.js'
import { newVisitor, openTab } from './demo-in-browser.js'

let browser: Browser
beforeAll(async () => {
  browser = await startChromium()
})

const closing = { refuseWith: 'close' } as const

/** A page of an app in a browser of its own. `login` asks the app as the page's script would. */
async function visit(options: AppOptions) {
  const app = await startApp(options)
  app.app.get('/', (_request, response) => {
    response.type('html').send('<!doctype html><link rel="icon" href="data:,"><title>A page</title>')
  })
  const visitor = await newVisitor(browser)
  const page = await openTab(visitor, app.url)
  const login = () =>
    page.evaluate(async () => {
      await fetch('/login?name=ada', { method: 'POST' })
    })
  return { app, page, login, ...visitor }
}

interface Told {
  opened: boolean
  protocol: string
  code: number
  reason: string
}

/** What a script of the page learns of a socket that it opens, and closes as soon as a message came. */
function socketFrom(page: Page, { wsUrl }: App, protocols: string[] = []): Promise<Told> {
  return page.evaluate(
    ([url, asked]) =>
      new Promise<Told>((resolve) => {
        const socket = new WebSocket(url, asked)
        let opened = false
        socket.onopen = () => {
          opened = true
        }
        socket.onmessage = () => {
          socket.close(1000, 'done')
        }
        socket.onclose = ({ code, reason }) => {
          resolve({ opened, protocol: socket.protocol, code, reason })
        }
      }),
    [wsUrl, protocols] as const,
  )
}

async function sessionCookieIn(context: BrowserContext) {
  const cookies = await context.cookies()
  return cookies.find(({ name }) => name === 'connect.sid')
}

describe("with refuseWith: 'close', a page", () => {
  it.each<{ how: string; asked: string[]; wss: NonNullable<AppOptions['wss']>; protocol: string }>([
    { how: 'without a subprotocol', asked: [], wss: {}, protocol: '' },
    { how: 'with a subprotocol', asked: ['chat'], wss: {}, protocol: 'chat' },
    {
      how: 'with the first subprotocol that it offered, without asking the server',
      asked: ['chat', 'chat.v2'],
      wss: { handleProtocols: () => 'chat.v2' },
      protocol: 'chat',
    },
  ])('reads 4401 without a login, and 4403 where it may not connect, $how', async ({ asked, wss, protocol }) => {
    const { app, page, login, complaints } = await visit({
      wss,
      bridge: { ...closing, authorize: ({ role }) => role === 'admin' },
    })
    const unauthorized = { opened: true, protocol, code: 4401, reason: 'unauthorized' }
    expect(await socketFrom(page, app, asked)).toEqual(unauthorized)
    await login()
    expect(await socketFrom(page, app, asked)).toEqual({ ...unauthorized, code: 4403, reason: 'forbidden' })
    expect(app.refusals.map(({ reason }) => reason)).toEqual(['no-cookie', 'forbidden'])
    expect(complaints).toEqual([])
  })

  it('of another site reads 4403', async () => {
    const { app } = await visit({ bridge: closing })
    const other = await visit({ bridge: closing })
    expect(await socketFrom(other.page, app)).toMatchObject({ code: 4403, reason: 'forbidden' })
    expect(app.refusals).toMatchObject([{ reason: 'origin-denied' }])
  })

  it('that has logged in is let in as ever', async () => {
    const { app, page, login } = await visit({ bridge: closing, onConnection: (ws) => ws.send('welcome') })
    await login()
    expect(await socketFrom(page, app, ['chat'])).toEqual({
      opened: true,
      protocol: 'chat',
      code: 1000,
      reason: 'done',
    })
  })
})

describe("with refuseWith: 'status', a page", () => {
  it('reads no more than 1006', async () => {
    const { app, page } = await visit({})
    expect(await socketFrom(page, app)).toEqual({ opened: false, protocol: '', code: 1006, reason: '' })
  })
})

describe('the cookie in the browser', () => {
  const onConnection: AppOptions['onConnection'] = (ws) => ws.send('welcome')

  it('lives longer after a 101 with rolling', async () => {
    const { app, page, login, context } = await visit({
      session: { rolling: true, cookie: { maxAge: 3_600_000, sameSite: 'lax' } },
      onConnection,
    })
    await login()
    const fresh = (await sessionCookieIn(context))!
    // As it would be, had the login been most of an hour ago.
    await context.addCookies([{ ...fresh, expires: Date.now() / 1_000 + 60 }])
    const old = (await sessionCookieIn(context))!
    expect(old.expires).toBeLessThan(Date.now() / 1_000 + 61)

    expect(await socketFrom(page, app)).toMatchObject({ code: 1000 })

    const rolled = (await sessionCookieIn(context))!
    expect(rolled.expires).toBeGreaterThan(Date.now() / 1_000 + 3_500)
    expect({ ...rolled, expires: 0 }).toEqual({ ...fresh, expires: 0 })
  })

  it('is signed by the new secret after a 101, if the old one had signed', async () => {
    const { app, page, context } = await visit({ session: { secret: ['new', 'old'] }, onConnection })
    const sessionID = app.bridge.readSessionID(await app.login('ada'))!
    const value = encodeURIComponent(`s:${sign(sessionID, 'old')}`)
    await context.addCookies([{ name: 'connect.sid', value, url: app.url, httpOnly: true }])

    expect(await socketFrom(page, app)).toMatchObject({ code: 1000 })

    const renewed = await sessionCookieIn(context)
    expect(`connect.sid=${renewed?.value ?? ''}`).toBe(app.bridge.signedCookie(sessionID))
    expect(renewed).toMatchObject({ httpOnly: true, path: '/' })
    expect(await page.evaluate(async () => (await fetch('/me')).json() as Promise<unknown>)).toEqual({ user: 'ada' })
  })

  it('stays as it is after a 101 without rolling', async () => {
    const { app, page, login, context } = await visit({ session: { cookie: { maxAge: 3_600_000 } }, onConnection })
    await login()
    const before = await sessionCookieIn(context)
    expect(await socketFrom(page, app)).toMatchObject({ code: 1000 })
    expect(await sessionCookieIn(context)).toEqual(before)
  })
})
