// pictures of every view, to be looked at. `npm run screenshots`
// also renews the one in the README.
import { mkdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { beforeAll, expect, it } from 'vitest'
import { startChromium } from '../support/chromium.js'
import { redisUrl } from '../support/redis.js'
import { attempt, login, newVisitor, openTab, say, startTwoNodes, visit } from './demo-in-browser.js'

const root = resolve(import.meta.dirname, '../..')
const folder = join(root, '.build/screenshots')
const inReadme = join(root, 'docs/demo.png')
/** A README is read on slow lines, too. */
const heaviest = 300_000

let browser: Browser
beforeAll(async () => {
  mkdirSync(folder, { recursive: true })
  browser = await startChromium()
})

const looks = [
  { look: 'desktop', options: { viewport: { width: 1280, height: 820 }, colorScheme: 'light' } },
  { look: 'dark', options: { viewport: { width: 1280, height: 820 }, colorScheme: 'dark' } },
  { look: 'phone', options: { viewport: { width: 390, height: 844 }, colorScheme: 'light', isMobile: true } },
] as const

/* The tests only see to it that this still works. */
const isAskedFor = process.env.npm_lifecycle_event === 'screenshots'

it.each(isAskedFor ? looks : looks.slice(0, 1))('shows every view ($look)', async ({ look, options }) => {
  const [one, two] = await startTwoNodes(redisUrl(), { stopRedis: () => undefined })
  const ada = await newVisitor(browser, options)
  const page = await openTab(ada, one.url)
  const take = (view: string) =>
    page.screenshot({ path: join(folder, `${look}-${view}.png`), fullPage: true, animations: 'disabled' })
  await page.getByLabel('Your name').waitFor()
  await take('login')

  await login(page, 'Ada', 'admin')
  await take('room-empty')
  const grace = await openTab(await newVisitor(browser), two.url)
  await login(grace, 'Grace')
  await say(grace, 'Good morning. Is anybody here?')
  await page.getByText('Good morning').waitFor()
  await say(page, 'I am, on the other node. The page sent you the text alone; the server knew the name.')
  await grace.getByText('I am, on').waitFor()
  await say(grace, 'So <b>nobody</b> can speak for you.')
  await page.getByText('So <b>').waitFor()
  const second = await openTab(ada, `${two.url}/#/session`)
  await second.getByText('2 tabs on node 1 and node 2').waitFor({ state: 'attached' })
  await take('room')

  await visit(page, 'Your session')
  await page.getByRole('textbox', { name: 'What you are up to' }).fill('Weaving algebraic patterns')
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByText('The session changed.').waitFor()
  await take('session')

  await visit(page, 'Attacks')
  await attempt(page, 'Try it')
  await attempt(page, 'Try no cookie')
  await attempt(page, 'Try forged cookies')
  await attempt(page, 'Try another origin')
  await page.locator('summary').first().click()
  await take('attacks')

  if (isAskedFor) await keepBusy(page, grace)
  await visit(page, 'Monitor')
  await page.locator('#sessions > li').nth(1).waitFor()
  await page.locator('.chart rect').first().waitFor()
  await take('monitor')
  if (look === 'desktop' && isAskedFor) await page.screenshot({ path: inReadme })

  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByText('Socket closed: 4401').waitFor()
  await take('logged-out')
  expect(ada.complaints).toEqual([])
})

it('has a picture in the README that loads fast', () => {
  expect(statSync(inReadme).size).toBeLessThan(heaviest)
})

/** Something happens in each of the seconds that a chart shows in the end. */
async function keepBusy(page: Page, other: Page): Promise<void> {
  await visit(other, 'Your session')
  for (let round = 0; round < 12; round += 1) {
    await other.getByRole('button', { name: 'Cut the connection' }).click()
    await attempt(page, ['Try it', 'Try no cookie', 'Try forged cookies', 'Try another origin'][round % 4]!)
    await other
      .locator('#events')
      .getByText('Open.')
      .nth(round + 1)
      .waitFor()
  }
}
