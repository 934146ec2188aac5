// what an administrator sees and does, and what an attacker gets.
import type { Browser, Page } from 'playwright-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { startChromium } from '../support/chromium.js'
import { attempt, connected, login, newVisitor, openTab, places, visit } from './demo-in-browser.js'

let browser: Browser
beforeAll(async () => {
  browser = await startChromium()
})

describe.each(places)('the demo, on $name,', ({ start }) => {
  it('has a monitor, from which sockets are kicked and sessions signed out wherever they are', async () => {
    const [here, there] = await start()
    const [root, ada, eve] = [await newVisitor(browser), await newVisitor(browser), await newVisitor(browser)]
    const admin = await openTab(root, here.url)
    await login(admin, 'Root', 'admin')
    const first = await openTab(ada, there.url)
    await login(first, 'Ada')
    const second = await openTab(ada, here.url)
    await connected(second, 'Ada')
    await visit(admin, 'Monitor')
    // By the beginning: the letters of a name may be in a hash.
    const card = (name: string) =>
      admin.locator('#sessions > li', { has: admin.getByRole('heading', { name: new RegExp(`^${name} `) }) })

    await card('Ada').locator('.sockets li').nth(1).waitFor()
    await card('Root').getByText('/monitor on').waitFor()
    expect(await card('Ada').locator('.data').textContent()).toContain('role"visitor"')

    // One socket, whose session stays.
    await card('Ada').locator('.sockets li').first().getByRole('button').click()
    const kicked = async () => (await isKicked(first)) || (await isKicked(second))
    await expect.poll(kicked, { timeout: 10_000 }).toBe(true)
    const out = (await isKicked(first)) ? first : second
    await out.getByRole('button', { name: 'Connect now' }).click()
    await connected(out, 'Ada')

    // One session, in both its tabs.
    await card('Ada').getByRole('button', { name: 'Sign out session' }).click()
    for (const tab of [first, second]) await tab.getByText('Socket closed: 4401 destroyed').waitFor()

    // All sessions of a user.
    await login(first, 'Ada')
    const third = await openTab(eve, there.url)
    await login(third, 'Ada')
    await expect.poll(() => card('Ada').count(), { timeout: 10_000 }).toBe(2)
    await card('Ada').first().getByRole('button', { name: 'Kick the user' }).click()
    for (const tab of [first, third]) await tab.getByText('1008 kicked').first().waitFor()
    for (const tab of [first, third]) await tab.getByRole('button', { name: 'Connect now' }).click()
    await expect.poll(() => card('Ada').count(), { timeout: 10_000 }).toBe(2)
    await card('Ada').first().getByRole('button', { name: 'Sign out the user' }).click()
    for (const tab of [first, third]) await tab.getByText('Socket closed: 4401 destroyed').waitFor()

    // All the others.
    await login(first, 'Ada')
    await login(third, 'Eve')
    await card('Eve').waitFor()
    await admin.locator('#kick-others').click()
    for (const tab of [first, third]) await tab.getByText('1008 kicked').first().waitFor()
    for (const tab of [first, third]) await tab.getByRole('button', { name: 'Connect now' }).click()
    await card('Eve').waitFor()
    await admin.locator('#sign-out-others').click()
    for (const tab of [first, third]) await tab.getByText('Socket closed: 4401 destroyed').waitFor()
    await connected(admin, 'Root')

    // A ban holds: the next handshake is refused, too.
    await login(first, 'Ada')
    await card('Ada').getByRole('button', { name: 'Ban the user' }).click()
    await first.getByText('4403 forbidden').first().waitFor()
    await first.getByRole('button', { name: 'Connect now' }).click()
    await expect.poll(() => [...here.refusals, ...there.refusals].map(({ reason }) => reason)).toContain('forbidden')
    await admin.getByText(/everywhere\.connections\(\) has found \d+ connections? of 1 user/).waitFor()

    await admin.locator('.chart', { hasText: 'ended' }).getByText('destroyed').waitFor()
    // The browser's own words about the refused handshake of the banned user.
    const complaints = [...root.complaints, ...ada.complaints, ...eve.complaints]
    expect(complaints.filter((complaint) => !complaint.includes('response code: 403'))).toEqual([])
  })

  it('closes the monitor with 4403 when the role is lost, and only that', async () => {
    const [here, there] = await start()
    const [root, second] = [await newVisitor(browser), await newVisitor(browser)]
    const admin = await openTab(root, here.url)
    await login(admin, 'Root', 'admin')
    await visit(admin, 'Monitor')
    const other = await openTab(second, there.url)
    await login(other, 'Other', 'admin')
    await visit(other, 'Monitor')

    const card = other.locator('#sessions > li', { has: other.getByRole('heading', { name: 'Root' }) })
    await card.getByRole('button', { name: 'Remove admin role' }).click()

    await admin.getByText("The server closed the monitor's socket: 4403 forbidden").waitFor()
    expect(await admin.locator('#sessions li').count()).toBe(0)
    await connected(admin, 'Root')
    await other.locator('.chart', { hasText: 'ended' }).getByText('forbidden').waitFor()
    // Its link is gone, and whoever has kept the address is refused: a script alone would be no guard.
    await visit(admin, 'Room')
    expect(await admin.getByRole('link', { name: 'Monitor' }).count()).toBe(0)
    expect([...root.complaints, ...second.complaints]).toEqual([])
    const refused = admin.evaluate(() => {
      const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/monitor`)
      return new Promise((resolve) => {
        socket.onclose = ({ code }) => {
          resolve(code)
        }
      })
    })
    expect(await refused).toBe(1006)
    expect(here.refusals).toMatchObject([{ reason: 'forbidden' }])
  })

  it('lets no user in who has no right to, and shows each answer as it came', async () => {
    const [here] = await start()
    const ada = await newVisitor(browser)
    const page = await openTab(ada, here.url)
    await login(page, 'Ada', 'admin')
    await visit(page, 'Attacks')

    expect(await attempt(page, 'Try it')).toEqual(['101 let in'])
    expect(await attempt(page, 'Try no cookie')).toEqual(['401 refused no-cookie'])
    expect(await attempt(page, 'Try forged cookies')).toEqual([
      '401 refused bad-signature',
      '401 refused unsigned-cookie',
      '401 refused no-session',
    ])
    expect(await attempt(page, 'Try an expired one')).toEqual(['401 refused no-session'])
    expect(await attempt(page, 'Try another origin')).toEqual(['403 refused origin-denied'])
    expect(await attempt(page, 'Send a flood')).toEqual(['20 × 101 let in', '180 × 429 refused too-many-sockets'])

    const answers = await page
      .locator('article[data-kind=no-cookie], article[data-kind=forged]')
      .locator('pre')
      .allTextContents()
    const received = answers.filter((text) => text.startsWith('HTTP/1.1 401 Unauthorized'))
    expect(received).toHaveLength(4)
    expect(new Set(received).size).toBe(1)

    await visit(page, 'Monitor')
    for (const reason of ['too-many-sockets', 'origin-denied', 'no-session', 'unsigned-cookie', 'no-cookie']) {
      await page.locator('#refusals').getByText(reason).first().waitFor()
    }
    expect(ada.complaints).toEqual([])

    const other = await openTab(ada, here.otherUrl)
    await other.getByText('Refused. All that a script gets to know is the close code 1006.').waitFor()
    await page.locator('#refusals').getByText(new URL(here.otherUrl).origin).first().waitFor()
    // The browser's own words, on the page of the other site.
    expect(ada.complaints).toEqual([expect.stringMatching(/^WebSocket connection to '.*' failed: /)])
  })
})

async function isKicked(page: Page): Promise<boolean> {
  return (await page.locator('#status').textContent())?.startsWith('1008 kicked') ?? false
}
