// the demo's own app, a real browser, and what both of them said.
import { randomUUID } from 'node:crypto'
import type { RefusalReason } from 'ws-session-bridge'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { startDemo, type Demo, type DemoOptions } from '../../demo/src/app.js'
import { onRedis } from '../../demo/src/session-backend.js'
import { atEnd } from '../support/at-end.js'
import { redisUrl } from '../support/redis.js'

export interface ObservedDemo extends Demo {
  /** `ws://…/room` */
  readonly wsUrl: string
  readonly refusals: { reason: RefusalReason; origin: string | undefined; cookie: string | undefined }[]
}

export async function startObservedDemo(options?: DemoOptions): Promise<ObservedDemo> {
  const demo = await startDemo(options)
  atEnd(() => demo.close())
  const refusals: ObservedDemo['refusals'] = []
  demo.bridge.on('refuse', ({ reason }, { headers: { origin, cookie } }) => refusals.push({ reason, origin, cookie }))
  return { ...demo, wsUrl: `${demo.url.replace('http', 'ws')}/room`, refusals }
}

/** A browser's profile with nothing in it: its tabs share cookies, and no other profile does. */
export async function newVisitor(browser: Browser, options?: Parameters<Browser['newContext']>[0]): Promise<Visitor> {
  const context = await browser.newContext(options)
  atEnd(() => context.close())
  const complaints: string[] = []
  context.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
  })
  context.on('weberror', (error) => complaints.push(String(error.error())))
  return { context, complaints }
}

export interface Visitor {
  readonly context: BrowserContext
  /** The errors and warnings in the browser's console, uncaught exceptions among them. */
  readonly complaints: string[]
}

/** A tab on the demo's page. */
export async function openTab({ context }: Visitor, url: string): Promise<Page> {
  const page = await context.newPage()
  await page.goto(url)
  return page
}

/** Logs in as a person does, and waits until the page's socket is open. */
export async function login(page: Page, name: string, role: 'visitor' | 'admin' = 'visitor'): Promise<void> {
  await page.getByLabel('Your name').fill(name)
  await page.getByLabel(role === 'admin' ? 'Admin' : 'Visitor').check()
  await page.getByRole('button', { name: 'Log in' }).click()
  await connected(page, name)
}

/** Waits until the page says that its socket is open, and who the server takes it for. */
export async function connected(page: Page, name: string): Promise<void> {
  await page.locator('#status[data-state=open]', { hasText: `as ${name}` }).waitFor()
}

/** Goes to a view as a person does. */
export async function visit(page: Page, view: 'Room' | 'Your session' | 'Attacks' | 'Monitor'): Promise<void> {
  await page.getByRole('navigation').getByRole('link', { name: view }).click()
  await page.locator('nav a[aria-current=page]', { hasText: view }).waitFor()
}

/** How much of the session is left, from 1 to 0, as the bar shows it. */
export function leftOn(page: Page): Promise<number> {
  return page.locator('#left-bar').evaluate((bar) => (bar as HTMLProgressElement).value)
}

/** Says something in the room. */
export async function say(page: Page, text: string): Promise<void> {
  await page.getByRole('textbox', { name: 'Message' }).fill(text)
  await page.getByRole('button', { name: 'Send' }).click()
}

/** Sends one kind of attack; resolves to the answers. */
export async function attempt(page: Page, label: string): Promise<string[]> {
  const card = page.locator('article', { has: page.getByRole('button', { name: label }) })
  await card.getByRole('button', { name: label }).click()
  await card.locator('.verdict').first().waitFor()
  // `20 × 429 refused reason: too-many-sockets after 5 ms`
  const verdicts = await card.locator('.verdict').allTextContents()
  return verdicts.map((text) =>
    text
      .replace(/ after \d+ ms$/, '')
      .replace('reason: ', '')
      .trim(),
  )
}

/** Two nodes on one Redis: what `npm run demo:cluster` starts, but in this process. */
export async function startTwoNodes(url: string, options?: DemoOptions): Promise<[ObservedDemo, ObservedDemo]> {
  const [prefix, secret] = [`demo-test:${randomUUID()}:`, randomUUID()]
  const start = async (node: string) => {
    const backend = await onRedis(url, prefix)
    return startObservedDemo({ ...options, backend, secret, node })
  }
  return [await start('node 1'), await start('node 2')]
}

/** What becomes of a WebSocket that a script of `page` opens. */
export function socketFrom(page: Page, url: string): Promise<{ opened: boolean; code: number }> {
  return page.evaluate(
    (address) =>
      new Promise<{ opened: boolean; code: number }>((resolve) => {
        const socket = new WebSocket(address)
        let opened = false
        socket.onopen = () => {
          opened = true
          socket.close(1000)
        }
        socket.onclose = ({ code }) => {
          resolve({ opened, code })
        }
      }),
    url,
  )
}

/** Where a demo can run. Where there is one node, the other one is the same. */
export const places: { name: string; start: (options?: DemoOptions) => Promise<[ObservedDemo, ObservedDemo]> }[] = [
  {
    name: 'one node with a MemoryStore',
    start: async (options) => {
      const demo = await startObservedDemo(options)
      return [demo, demo]
    },
  },
  { name: 'two nodes with Redis', start: (options) => startTwoNodes(redisUrl(), options) },
]
