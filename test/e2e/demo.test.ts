// In: the demo in Chromium, on MemoryStore and on Redis. Out: what a person sees there.
import { MemoryStore, type Store } from 'express-session'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Browser, Page } from 'playwright-core'
import { startChromium } from '../support/chromium.js'
import { startRedisStore } from '../support/redis.js'
import { login, newVisitor, openTab, startObservedDemo } from './demo-in-browser.js'

let browser: Browser
beforeAll(async () => {
  browser = await startChromium()
})

describe.each<{ name: string; createStore: () => Promise<Store> }>([
  { name: 'a MemoryStore', createStore: () => Promise.resolve(new MemoryStore()) },
  { name: 'connect-redis', createStore: async () => (await startRedisStore()).store },
])('the demo on $name', ({ createStore }) => {
  it('opens a socket after the login and shows the name that the server read from the session', async () => {
    const demo = await startObservedDemo({ store: await createStore() })
    const ada = await newVisitor(browser)
    const page = await openTab(ada, demo.url)

    await login(page, 'Ada')

    expect(await page.locator('#user').textContent()).toBe('Ada')
    expect(await page.locator('#since').textContent()).toMatch(/\d/)
    await page.getByText('Ada (you), 1 tab').waitFor()
    expect(demo.bridge.stats()).toMatchObject({ sockets: 1, sessions: 1, accepted: 1 })
    expect(ada.complaints).toEqual([])
  })

  it('shares the session with a second tab, and echoes to both what one of them sends', async () => {
    const demo = await startObservedDemo({ store: await createStore() })
    const ada = await newVisitor(browser)
    const first = await openTab(ada, demo.url)
    await login(first, 'Ada')

    const second = await openTab(ada, demo.url)
    await second.getByText('the server knows you as Ada').waitFor()
    for (const tab of [first, second]) await tab.getByText('Ada (you), 2 tabs').waitFor()
    expect(demo.bridge.stats()).toMatchObject({ sockets: 2, sessions: 1 })

    await sendMessage(second, '<b>Hello</b>')
    await second.getByText('Ada <b>Hello</b>', { exact: true }).waitFor()
    await first.getByText('Ada <b>Hello</b> from another tab', { exact: true }).waitFor()
    expect(ada.complaints).toEqual([])
  })

  it('shows a name that one tab changes by HTTP on the socket of the other', async () => {
    const demo = await startObservedDemo({ store: await createStore() })
    const ada = await newVisitor(browser)
    const first = await openTab(ada, demo.url)
    await login(first, 'Ada')
    const second = await openTab(ada, demo.url)
    await second.getByText('the server knows you as Ada').waitFor()

    await first.getByLabel('A new name').fill('Countess of Lovelace')
    await first.getByRole('button', { name: 'Change' }).click()

    for (const tab of [first, second]) await tab.getByText('the server knows you as Countess of Lovelace').waitFor()
    await sendMessage(second, 'It is me')
    await first.getByText('Countess of Lovelace It is me from another tab', { exact: true }).waitFor()
    expect(ada.complaints).toEqual([])
  })

  it('logs out in every tab, and leaves other people where they are', async () => {
    const demo = await startObservedDemo({ store: await createStore() })
    const [ada, grace] = [await newVisitor(browser), await newVisitor(browser)]
    const first = await openTab(ada, demo.url)
    await login(first, 'Ada')
    const second = await openTab(ada, demo.url)
    const other = await openTab(grace, demo.url)
    await login(other, 'Grace')
    await other.getByText('Ada, 2 tabs').waitFor()

    await first.getByRole('button', { name: 'Log out' }).click()

    for (const tab of [first, second]) await tab.getByText('Not logged in').waitFor()
    await other.getByText('Ada, 2 tabs').waitFor({ state: 'detached' })
    await sendMessage(other, 'Still here')
    await other.getByText('Grace Still here', { exact: true }).waitFor()
    expect([...ada.complaints, ...grace.complaints]).toEqual([])
  })
})

describe('the demo', () => {
  it('shows that forged cookies are refused and the real one is not', async () => {
    const demo = await startObservedDemo()
    const ada = await newVisitor(browser)
    const page = await openTab(ada, demo.url)
    await login(page, 'Ada')

    await page.getByRole('button', { name: 'Try forged cookies' }).click()

    await page.getByText('101 let in').waitFor()
    const attempts = await page
      .locator('#attempts li')
      .evaluateAll((items) =>
        items.map((item) => ['strong', 'code'].map((part) => item.querySelector(part)?.textContent)),
      )
    expect(attempts).toEqual([
      ['401 refused', 'reason: bad-signature'],
      ['401 refused', 'reason: unsigned-cookie'],
      ['401 refused', 'reason: no-session'],
      ['401 refused', 'reason: no-cookie'],
      ['403 refused', 'reason: origin-denied'],
      ['101 let in', undefined],
    ])
    await page.getByText('Ada (you), 1 tab').waitFor()
    expect(ada.complaints).toEqual([])
  })

  it('says when its server is gone, and comes back by itself with the same session', async () => {
    const options = { store: new MemoryStore(), secret: 'outlives a restart' }
    const demo = await startObservedDemo(options)
    const page = await openTab(await newVisitor(browser), demo.url)
    await login(page, 'Ada')

    await demo.close()
    await page.getByText('Trying again').waitFor()
    await startObservedDemo({ ...options, port: Number(new URL(demo.url).port) })

    await page.getByText('the server knows you as Ada').waitFor()
  })

  it('takes no POST from a page of another origin', async () => {
    const demo = await startObservedDemo()
    const post = (headers: Record<string, string>) =>
      fetch(`${demo.url}/login`, {
        method: 'POST',
        headers: { ...headers, 'Content-Type': 'application/json' },
        body: '{"name":"Mallory"}',
      })

    expect((await post({ origin: 'https://evil.example' })).status).toBe(403)
    expect((await post({ origin: demo.url })).status).toBe(200)
  })

  it.each(['light', 'dark'] as const)(
    'fits a narrow phone and can be used by keyboard alone (%s)',
    async (colorScheme) => {
      const demo = await startObservedDemo()
      const phone = await newVisitor(browser, { viewport: { width: 320, height: 640 }, isMobile: true, colorScheme })
      const page = await openTab(phone, demo.url)
      await page.locator('#name:focus').waitFor()

      await page.keyboard.type('A name that is rather long for a phone')
      await page.keyboard.press('Enter')
      await page.locator('#text:focus').waitFor()
      await page.keyboard.type('Hello')
      await page.keyboard.press('Enter')
      await page.locator('#log li').waitFor()
      for (let presses = 0; presses < 2; presses += 1) await page.keyboard.press('Tab')
      await page.keyboard.press('Enter')
      await page.getByText('101 let in').waitFor()

      const overflow = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      )
      expect(overflow).toBe(0)
      expect(phone.complaints).toEqual([])
    },
  )
})

async function sendMessage(page: Page, text: string): Promise<void> {
  await page.getByRole('textbox', { name: 'Message' }).fill(text)
  await page.getByRole('button', { name: 'Send' }).click()
}
