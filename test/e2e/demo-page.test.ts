// that it is one for everybody.
import axe from 'axe-core'
import type { Browser, Page } from 'playwright-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { startChromium } from '../support/chromium.js'
import { redisUrl } from '../support/redis.js'
import { attempt, login, newVisitor, openTab, say, startObservedDemo, startTwoNodes, visit } from './demo-in-browser.js'

let browser: Browser
beforeAll(async () => {
  browser = await startChromium()
})

describe('the page', () => {
  it.each(['light', 'dark'] as const)('has no fault that axe can find, in no view (%s)', async (colorScheme) => {
    const [here, there] = await startTwoNodes(redisUrl(), { stopRedis: () => undefined })
    const ada = await newVisitor(browser, { colorScheme, reducedMotion: 'reduce' })
    const page = await openTab(ada, here.url)
    await page.getByLabel('Your name').waitFor()
    expect(await faultsOf(page)).toEqual([])

    await login(page, 'Ada', 'admin')
    expect(await faultsOf(page)).toEqual([])
    const grace = await openTab(await newVisitor(browser), there.url)
    await login(grace, 'Grace')
    await say(grace, 'Hello')
    await page.locator('#log li').waitFor()
    await say(page, 'Hello yourself')
    await page.locator('#log li.own').waitFor()
    expect(await faultsOf(page)).toEqual([])

    await visit(page, 'Your session')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('Saved over HTTP').waitFor()
    expect(await faultsOf(page)).toEqual([])

    await visit(page, 'Attacks')
    for (const label of ['Try it', 'Try forged cookies', 'Send a flood']) await attempt(page, label)
    await page.getByText('Raw response').first().click()
    expect(await faultsOf(page)).toEqual([])

    await visit(page, 'Monitor')
    await page.locator('#refusals tr').first().waitFor()
    await page.locator('.legend li').first().waitFor()
    expect(await faultsOf(page)).toEqual([])

    await page.getByRole('button', { name: 'Log out' }).click()
    await page.getByText('Socket closed: 4401').waitFor()
    expect(await faultsOf(page)).toEqual([])
    expect(ada.complaints).toEqual([])
  })

  it('fits a narrow phone in every view, and can be used by keyboard alone', async () => {
    const demo = await startObservedDemo()
    const phone = await newVisitor(browser, { viewport: { width: 320, height: 640 }, isMobile: true })
    const page = await openTab(phone, demo.url)
    await page.locator('#name:focus').waitFor()
    expect(await overflowOf(page)).toBe(0)

    // Logs in as an admin, and is where one writes.
    // One word, as long as a name may be.
    await page.keyboard.type('Wolfeschlegelsteinhausenbergerdorffwelch')
    await press(page, 'Tab', 'input[name=role]')
    await page.keyboard.press('Enter')
    await page.locator('#text:focus').waitFor()
    await page.keyboard.type('Donaudampfschifffahrtsgesellschaft'.repeat(5))
    await page.keyboard.press('Enter')
    await page.locator('#log li').waitFor()
    expect(await overflowOf(page)).toBe(0)
    await page.keyboard.type('مرحبا <b>123</b>.')
    await page.keyboard.press('Enter')
    const message = page.locator('#log .text', { hasText: 'مرحبا <b>123</b>.' })
    expect(await message.evaluate((text) => getComputedStyle(text).direction)).toBe('rtl')

    // From view to view: the focus goes to the heading of the one that was asked for.
    await press(page, 'Shift+Tab', 'nav a[href="#/session"]')
    await page.keyboard.press('Enter')
    await page.locator('#session-title:focus').waitFor()
    await press(page, 'Tab', '#new-note')
    await page.keyboard.type('Typing')
    await page.keyboard.press('Enter')
    await page.locator('#snapshot', { hasText: 'Typing' }).waitFor()
    expect(await overflowOf(page)).toBe(0)

    await press(page, 'Shift+Tab', 'nav a[href="#/attacks"]')
    await page.keyboard.press('Enter')
    await page.locator('#attacks-title:focus').waitFor()
    await press(page, 'Tab', 'article[data-kind=forged] button')
    await page.keyboard.press('Enter')
    await page.locator('article[data-kind=forged] .verdict').first().waitFor()
    await press(page, 'Tab', 'article[data-kind=forged] summary')
    await page.keyboard.press('Enter')
    await page.locator('article[data-kind=forged] pre').first().waitFor()
    expect(await overflowOf(page)).toBe(0)

    await press(page, 'Shift+Tab', 'nav a[href="#/monitor"]')
    await page.keyboard.press('Enter')
    await page.locator('#monitor-title:focus').waitFor()
    await page.locator('.sockets li').nth(1).waitFor()
    expect(await overflowOf(page)).toBe(0)
    // The list is written anew every second; the focus stays on its button meanwhile.
    await press(page, 'Tab', '.sockets li button')
    await page.locator('.chart rect').first().waitFor()
    await page.locator('.sockets li button:focus').waitFor()
    await page.keyboard.press('Enter')
    await page.getByText('1008 kicked').first().waitFor()

    await press(page, 'Shift+Tab', '#logout')
    await page.keyboard.press('Enter')
    await page.locator('#name:focus').waitFor()
    expect(await overflowOf(page)).toBe(0)
    expect(phone.complaints).toEqual([])
  })
})

/** Presses a key until the focus is there, as often as a patient user would. */
async function press(page: Page, key: string, selector: string): Promise<void> {
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press(key)
    if (await page.locator(selector).evaluateAll((found) => found.some((one) => one === document.activeElement))) return
  }
  throw new Error(`${key} does not lead to ${selector}`)
}

function overflowOf(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
}

async function faultsOf(page: Page): Promise<string[]> {
  // By the debugger: the page's own policy would not let it in.
  await page.evaluate(axe.source)
  return page.evaluate(async () => {
    const { axe: inPage } = globalThis as unknown as { axe: typeof axe }
    const { violations } = await inPage.run()
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id}: ${target.join(' ')} ${failureSummary}`),
    )
  })
}
