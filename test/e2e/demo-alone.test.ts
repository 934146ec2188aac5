// how its page bears drops and expiries, and what it keeps to itself.
import { MemoryStore } from 'express-session'
import type { Browser } from 'playwright-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { startChromium } from '../support/chromium.js'
import { freePort } from '../support/redis-server.js'
import { inMemory } from '../../demo/src/session-backend.js'
import {
  attempt,
  connected,
  leftOn,
  login,
  newVisitor,
  openTab,
  say,
  startObservedDemo,
  visit,
} from './demo-in-browser.js'

let browser: Browser
beforeAll(async () => {
  browser = await startChromium()
})

describe('the demo', () => {
  it('comes back by itself after a cut connection, with the same session', async () => {
    const demo = await startObservedDemo()
    const ada = await newVisitor(browser)
    const page = await openTab(ada, demo.url)
    await login(page, 'Ada')
    await visit(page, 'Your session')

    await page.getByRole('button', { name: 'Cut the connection' }).click()

    await page.locator('#events').getByText('Closed: 1006. The connection broke').waitFor()
    await page.locator('#events').getByText('Attempt 1 in').waitFor()
    await connected(page, 'Ada')
    expect(await page.locator('#events').getByText('Open.').count()).toBe(2)
    expect(await page.locator('#events').getByText('The session changed.').count()).toBe(0)
    expect(ada.complaints).toEqual([])
  })

  it('says when its server is gone, and tries again with growing pauses until it is back', async () => {
    const [store, secret] = [new MemoryStore(), 'outlives a restart']
    // One that no connection of another test is given meanwhile.
    const port = await freePort()
    const demo = await startObservedDemo({ backend: inMemory(store), secret, port })
    const page = await openTab(await newVisitor(browser), demo.url)
    await login(page, 'Ada')

    await demo.close()
    await page.locator('#events').getByText('Closed: 1001').waitFor({ state: 'attached' })
    await page.getByText('(attempt 4)').waitFor()
    const pauses = await page
      .locator('#events')
      .getByText(/^.*Attempt \d in/)
      .allTextContents()
    // The attempts begin at 0.5 s and double; half of each is left to chance.
    const inMs = pauses.map((text) => Number(/in ([\d.]+) s/.exec(text)?.[1]) * 1_000)
    inMs.forEach((ms, attempts) => {
      expect(ms).toBeGreaterThanOrEqual(250 * 2 ** attempts - 51)
      expect(ms).toBeLessThanOrEqual(500 * 2 ** attempts + 51)
    })
    const again = await startObservedDemo({ backend: inMemory(store), secret, port })

    await page.getByRole('button', { name: 'Connect now' }).click()
    await connected(page, 'Ada')
    expect(again.bridge.stats()).toMatchObject({ accepted: 1, sessions: 1 })
  })

  it('ends a session that was not used, and says so', async () => {
    const demo = await startObservedDemo({ maxAgeMs: 8_000 })
    const ada = await newVisitor(browser)
    const page = await openTab(ada, demo.url)
    await login(page, 'Ada')
    await page.getByText('Socket closed: 4401 expired').waitFor()
    await page.getByText('The session has expired').waitFor()
    expect(ada.complaints).toEqual([])
  })

  it('keeps the cookie in the browser as long as the session that messages keep alive', async () => {
    const demo = await startObservedDemo({ maxAgeMs: 12_000 })
    const ada = await newVisitor(browser)
    const page = await openTab(ada, demo.url)
    await login(page, 'Ada')
    const expires = async () => (await ada.context.cookies())[0]?.expires ?? 0
    const before = await expires()
    await expect.poll(() => leftOn(page), { timeout: 10_000 }).toBeLessThan(0.7)
    await say(page, 'I am still here')
    await expect.poll(expires, { timeout: 10_000 }).toBeGreaterThan(before)
    expect(ada.complaints).toEqual([])
  })

  it('never shows a session ID, in no answer, no message and nowhere on the page', async () => {
    const demo = await startObservedDemo()
    const ada = await newVisitor(browser)
    const page = await ada.context.newPage()
    const seen: string[] = []
    page.on('websocket', (socket) => {
      socket.on('framereceived', ({ payload }) => seen.push(String(payload)))
    })
    page.on('response', (response) => {
      // Not that of a redirect or of a page that has gone.
      void response.text().then(
        (text) => seen.push(text),
        () => undefined,
      )
    })
    await page.goto(demo.url)
    await login(page, 'Ada', 'admin')
    const [cookie] = await ada.context.cookies()
    const sessionID = demo.bridge.readSessionID(`${cookie!.name}=${cookie!.value}`)!
    await say(page, 'Hello')
    await visit(page, 'Your session')
    await visit(page, 'Attacks')
    for (const label of ['Try it', 'Try forged cookies', 'Try another origin']) await attempt(page, label)
    await visit(page, 'Monitor')
    await page.locator('#sessions > li').first().waitFor()
    seen.push(await page.content())

    expect(seen.length).toBeGreaterThan(10)
    expect(seen.join('\n')).toContain('101 let in')
    expect(seen.join('\n')).not.toContain(sessionID)
  })

  it.each([
    { from: 'another origin', headers: { origin: 'https://evil.example' } },
    { from: 'another port, as the browser says', headers: { 'sec-fetch-site': 'same-site' } },
    { from: 'no origin at all', headers: { origin: 'null' } },
  ])('takes no POST from a page of $from', async ({ headers }) => {
    const demo = await startObservedDemo()
    const post = (more: Record<string, string>, path: string) =>
      fetch(demo.url + path, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', ...more },
        body: '{"name":"Mallory"}',
      })

    for (const path of ['/login', '/session', '/logout', '/cut', '/attacks/flood']) {
      expect((await post(headers, path)).status).toBe(403)
    }
    expect((await post({ origin: demo.url }, '/login')).status).toBe(200)
  })

  it('allows its page nothing inline and nothing from elsewhere', async () => {
    const demo = await startObservedDemo()
    const policy = (await fetch(demo.url)).headers.get('content-security-policy')
    expect(policy).toContain("default-src 'none'")
    expect(policy).not.toContain('unsafe')
    const page = await openTab(await newVisitor(browser), demo.url)
    const origins = await page.evaluate(() =>
      performance.getEntriesByType('resource').map(({ name }) => new URL(name).origin),
    )
    expect(new Set(origins)).toEqual(new Set([demo.url]))
  })
})
