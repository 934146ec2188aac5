// what people see in the room, and of their sessions.
import type { Browser } from 'playwright-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { startChromium } from '../support/chromium.js'
import { connected, leftOn, login, newVisitor, openTab, places, say, visit } from './demo-in-browser.js'

let browser: Browser
beforeAll(async () => {
  browser = await startChromium()
})

describe.each(places)('the demo, on $name,', ({ start }) => {
  it('is a room, in which the server knows who says what', async () => {
    const [here, there] = await start()
    const [ada, grace] = [await newVisitor(browser), await newVisitor(browser)]
    const first = await openTab(ada, here.url)
    await login(first, 'Ada')
    const other = await openTab(grace, there.url)
    await login(other, 'Grace')
    const second = await openTab(ada, there.url)
    await connected(second, 'Ada')

    for (const tab of [first, second, other]) {
      await tab.locator('#people li', { hasText: 'Ada' }).getByText('2 tabs on').waitFor()
      await tab.locator('#people li', { hasText: 'Grace' }).getByText('1 tab on').waitFor()
    }
    await first.getByText('Ada (you)').waitFor()

    await say(second, '<b>Hello</b>')
    const line = { hasText: '<b>Hello</b>' }
    await second
      .locator('#log li', line)
      .getByText(/read "Ada" from session [0-9a-f]{12} \(yours, this tab\)/)
      .waitFor()
    await first
      .locator('#log li', line)
      .getByText(/read "Ada" from session [0-9a-f]{12} \(yours, another tab\)/)
      .waitFor()
    await other
      .locator('#log li', line)
      .getByText(/read "Ada" from session [0-9a-f]{12}$/)
      .waitFor()
    expect(await other.locator('#log b').count()).toBe(0)

    const late = await openTab(grace, here.url)
    await late.locator('#people li', { hasText: 'Grace' }).getByText('2 tabs on').waitFor()
    await other.close()
    await late.locator('#people li', { hasText: 'Grace' }).getByText('1 tab on').waitFor()
    expect([...ada.complaints, ...grace.complaints]).toEqual([])
  })

  it('shows the session as the handler reads it, while it is edited over HTTP', async () => {
    const [here, there] = await start()
    const ada = await newVisitor(browser)
    const first = await openTab(ada, here.url)
    await login(first, 'Ada')
    const second = await openTab(ada, `${there.url}/#/session`)
    await connected(second, 'Ada')
    await second.locator('#snapshot', { hasText: '"user": "Ada"' }).waitFor()

    await visit(first, 'Your session')
    await first.getByLabel('Name', { exact: true }).fill('Countess of Lovelace')
    await first.getByLabel('What you are up to').fill('Note G')
    await first.getByRole('button', { name: 'Save' }).click()

    for (const tab of [first, second]) {
      await connected(tab, 'Countess of Lovelace')
      await tab.locator('#snapshot', { hasText: '"note": "Note G"' }).waitFor()
      await tab.locator('#events').getByText('The session changed.').waitFor()
    }
    // What is no name changes nothing, and says so: in the page, and to whoever comes past it.
    await first.getByLabel('Name', { exact: true }).fill('   ')
    expect(await first.locator('#new-name').evaluate((name: HTMLInputElement) => name.validity.patternMismatch)).toBe(
      true,
    )
    const answer = await ada.context.request.post(`${here.url}/session`, { data: { name: 'x'.repeat(200) } })
    expect([answer.status(), await answer.json()]).toEqual([400, { error: 'A name has 1 to 40 characters.' }])
    await visit(second, 'Room')
    await say(second, 'It is me')
    await second.getByText('read "Countess of Lovelace" from session').waitFor()
    expect(ada.complaints).toEqual([])
  })

  it('shows how long the session lasts, and how a message refills that', async () => {
    const [here] = await start({ maxAgeMs: 16_000 })
    const ada = await newVisitor(browser)
    const page = await openTab(ada, here.url)
    await login(page, 'Ada')
    await expect.poll(() => leftOn(page), { timeout: 10_000 }).toBeLessThan(0.7)

    await say(page, 'I am still here')

    await expect.poll(() => leftOn(page), { timeout: 10_000 }).toBeGreaterThan(0.8)
    await page.locator('#events').getByText('Time refilled.').waitFor({ state: 'attached' })
    expect(ada.complaints).toEqual([])
  })

  it('logs out in every tab and says why, and no tab comes back by itself', async () => {
    const [here, there] = await start()
    const [ada, grace] = [await newVisitor(browser), await newVisitor(browser)]
    const first = await openTab(ada, here.url)
    await login(first, 'Ada')
    const second = await openTab(ada, there.url)
    await connected(second, 'Ada')
    const other = await openTab(grace, there.url)
    await login(other, 'Grace')

    const asked: string[] = []
    second.on('request', (request) => asked.push(new URL(request.url()).pathname))
    await first.getByRole('button', { name: 'Log out' }).click()

    for (const tab of [first, second]) {
      await tab.getByText('Socket closed: 4401 destroyed').waitFor()
      await tab.getByText('You are not logged in').waitFor()
    }
    await first.getByText('You logged out in this tab').waitFor()
    await second.getByText('The session was signed out in another tab').waitFor()
    await other.locator('#people li', { hasText: 'Ada' }).waitFor({ state: 'detached' })
    await say(other, 'Still here')
    await other.locator('#log li', { hasText: 'Still here' }).waitFor()

    // By now it would have come back, had it tried. It has asked once who is logged in, and opens nothing by itself.
    await login(first, 'Ada again')
    await openTab(ada, there.url).then((tab) => connected(tab, 'Ada again'))
    await second.getByText('You are not logged in').waitFor()
    expect(asked).toEqual(['/me'])
    expect([...here.refusals, ...there.refusals]).toEqual([])
    expect([...ada.complaints, ...grace.complaints]).toEqual([])
  })
})
