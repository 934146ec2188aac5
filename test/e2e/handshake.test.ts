// who gets in and who does not; a script sees no more than the code 1006.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Browser } from 'playwright-core'
import { atEnd } from '../support/at-end.js'
import { startChromium } from '../support/chromium.js'
import { forgedFrom } from '../support/forged-cookie.js'
import { login, newVisitor, openTab, socketFrom, startObservedDemo, type Visitor } from './demo-in-browser.js'

let browser: Browser
beforeAll(async () => {
  browser = await startChromium()
})

const refusedSocket = { opened: false, code: 1006 }

describe('a socket of a browser', () => {
  it('is let in with the cookie of a login', async () => {
    const { demo, ada, page } = await loggedIn()
    expect(await socketFrom(page, demo.wsUrl)).toEqual({ opened: true, code: 1000 })
    expect(demo.refusals).toEqual([])
    expect(ada.complaints).toEqual([])
  })

  it('is refused without a cookie', async () => {
    const demo = await startObservedDemo()
    const stranger = await newVisitor(browser)
    const page = await openTab(stranger, demo.url)

    expect(await socketFrom(page, demo.wsUrl)).toEqual(refusedSocket)

    expect(demo.refusals).toMatchObject([{ reason: 'no-cookie', cookie: undefined }])
    expectOneFailedSocket(stranger)
  })

  it.each<{ forgery: string; forge: (value: string) => string; reason: string }>([
    { forgery: 'another signature', forge: forgedFrom, reason: 'bad-signature' },
    { forgery: 'no signature', forge: (value) => value.slice(4, value.lastIndexOf('.')), reason: 'unsigned-cookie' },
    { forgery: 'the ID of another user', forge: (value) => value.replace(/^s%3A./, 's%3A!'), reason: 'bad-signature' },
  ])('is refused with a cookie that has $forgery', async ({ forge, reason }) => {
    const { demo, ada, page } = await loggedIn()
    const [cookie] = await ada.context.cookies()
    await ada.context.addCookies([{ ...cookie!, value: forge(cookie!.value) }])

    expect(await socketFrom(page, demo.wsUrl)).toEqual(refusedSocket)

    expect(demo.refusals).toMatchObject([{ reason, cookie: expect.any(String) as string }])
    expectOneFailedSocket(ada)
  })

  it('is refused with the cookie of a session that has logged out', async () => {
    const { demo, ada, page } = await loggedIn()
    const cookies = await ada.context.cookies()
    await page.getByRole('button', { name: 'Log out' }).click()
    await page.getByText('Not logged in').waitFor()
    await ada.context.addCookies(cookies)

    expect(await socketFrom(page, demo.wsUrl)).toEqual(refusedSocket)

    expect(demo.refusals).toMatchObject([{ reason: 'no-session' }])
    expectOneFailedSocket(ada)
  })

  it('is refused from a page on another port, though the browser sends the cookie along', async () => {
    const { demo, ada } = await loggedIn()
    const { port } = await startOtherSite()
    const page = await openTab(ada, `http://localhost:${port}`)

    expect(await socketFrom(page, demo.wsUrl)).toEqual(refusedSocket)

    const [{ value } = { value: '' }] = await ada.context.cookies()
    expect(demo.refusals).toEqual([
      {
        reason: 'origin-denied',
        origin: `http://localhost:${port}`,
        cookie: `ws-session-bridge-demo.sid=${value}`,
      },
    ])
    expectOneFailedSocket(ada)
  })

  it('is refused from a page whose host has another name, even where it leads to the same server', async () => {
    // The demo's own policy would not let its page try.
    const { demo, ada } = await loggedIn({ bypassCSP: true })
    const byAddress = demo.url.replace('localhost', '127.0.0.1')
    const page = await openTab(ada, byAddress)
    await page.getByText('Not logged in').waitFor()

    expect(await socketFrom(page, demo.wsUrl)).toEqual(refusedSocket)

    expect(demo.refusals).toMatchObject([{ reason: 'origin-denied', origin: byAddress }])
    expectOneFailedSocket(ada)
  })

  it('is refused from a page without an origin of its own', async () => {
    const { demo, ada } = await loggedIn()
    const { port } = await startOtherSite({ 'Content-Security-Policy': 'sandbox allow-scripts' })
    const page = await openTab(ada, `http://localhost:${port}`)

    expect(await socketFrom(page, demo.wsUrl)).toEqual(refusedSocket)

    expect(demo.refusals).toMatchObject([{ reason: 'origin-denied', origin: 'null' }])
    expectOneFailedSocket(ada)
  })
})

async function loggedIn(options?: Parameters<typeof newVisitor>[1]) {
  const demo = await startObservedDemo()
  const ada = await newVisitor(browser, options)
  const page = await openTab(ada, demo.url)
  await login(page, 'Ada')
  return { demo, ada, page }
}

async function startOtherSite(headers: Record<string, string> = {}): Promise<{ port: number }> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html', ...headers })
    response.end('<!doctype html><link rel="icon" href="data:,"><title>Another site</title>')
  })
  server.listen(0)
  await once(server, 'listening')
  atEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port }
}

function expectOneFailedSocket({ complaints }: Visitor): void {
  expect(complaints).toEqual([expect.stringMatching(/^WebSocket connection to '.*' failed: /)])
}
