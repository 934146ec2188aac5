// what its script sees of a socket, from the login to the logout in another tab.
import { fileURLToPath } from 'node:url'
import express from 'express'
import type { Browser, Page } from 'playwright-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { newVisitor, openTab, type Visitor } from '../e2e/demo-in-browser.js'
import { until } from '../live/bound.js'
import { startApp } from '../support/app.js'
import { startChromium } from '../support/chromium.js'
import { forgedFrom } from '../support/forged-cookie.js'

let browser: Browser
beforeAll(async () => {
  browser = await startChromium()
})

async function startPage() {
  const app = await startApp({
    onConnection(ws, _request, context) {
      const tell = () => ws.send(`You are ${context.session.user ?? ''}`)
      tell()
      ws.on('message', tell)
    },
  })
  app.app.use(express.static(fileURLToPath(new URL('page', import.meta.url))))
  return { ...app, visitor: await newVisitor(browser) }
}

async function click(page: Page, button: string, answer?: string): Promise<void> {
  await page.getByRole('button', { name: button }).click()
  if (answer !== undefined) await page.getByText(answer, { exact: true }).waitFor()
}

/** A tab that has logged in by fetch, and connected. */
async function openLoggedIn({ url, visitor }: { url: string; visitor: Visitor }, name = 'Ada'): Promise<Page> {
  const page = await openTab(visitor, url)
  await page.getByLabel('Name').fill(name)
  await click(page, 'Log in', 'Logged in')
  await click(page, 'Connect', `You are ${name}`)
  return page
}

describe('an ordinary page', () => {
  it('logs in by fetch, and its socket knows who it is', async () => {
    const app = await startPage()
    await openLoggedIn(app)
    expect(app.bridge.stats()).toMatchObject({ sockets: 1, sessions: 1, accepted: 1 })
    expect(app.visitor.complaints).toEqual([])
  })

  it('hears over its socket what another tab has changed by fetch', async () => {
    const app = await startPage()
    const page = await openLoggedIn(app)
    await openLoggedIn(app, 'Grace')
    await click(page, 'Ask', 'You are Grace')
    expect(app.bridge.stats()).toMatchObject({ sockets: 2, sessions: 1 })
  })

  it('sees 4401 when another tab logs out, and is refused from then on', async () => {
    const app = await startPage()
    const page = await openLoggedIn(app)
    const other = await openTab(app.visitor, app.url)
    await click(other, 'Log out')
    await page.getByText('Please log in (4401)', { exact: true }).waitFor()
    await until(() => app.bridge.stats().sockets === 0)
    await click(page, 'Connect', 'Please log in (1006)')
    expect(app.refusals).toMatchObject([{ reason: 'no-session' }])
    expect(app.bridge.stats()).toMatchObject({ sockets: 0, sessions: 0, faults: 0 })
  })

  it('is refused before a login, and with a forged cookie', async () => {
    const app = await startPage()
    const page = await openTab(app.visitor, app.url)
    await click(page, 'Connect', 'Please log in (1006)')
    const [name = '', value = ''] = forgedFrom(await app.login('Ada')).split('=')
    await app.visitor.context.addCookies([{ name, value, url: app.url }])
    await page.reload()
    await click(page, 'Connect', 'Please log in (1006)')
    expect(app.refusals).toMatchObject([{ reason: 'no-cookie' }, { reason: 'bad-signature' }])
  })
})
