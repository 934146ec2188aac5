// In: nothing, or a store. Out: the demo's own app, a real browser, and what both of them said.
import type { RefusalReason } from 'ws-session-bridge'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { startDemo, type Demo, type DemoOptions } from '../../demo/src/app.js'
import { atEnd } from '../support/at-end.js'

export interface ObservedDemo extends Demo {
  /** `ws://…/chat` */
  readonly wsUrl: string
  readonly refusals: { reason: RefusalReason; origin: string | undefined; cookie: string | undefined }[]
}

export async function startObservedDemo(options?: DemoOptions): Promise<ObservedDemo> {
  const demo = await startDemo(options)
  atEnd(() => demo.close())
  const refusals: ObservedDemo['refusals'] = []
  demo.bridge.on('refuse', ({ reason }, { headers: { origin, cookie } }) => refusals.push({ reason, origin, cookie }))
  return { ...demo, wsUrl: `${demo.url.replace('http', 'ws')}/chat`, refusals }
}

/** A browser's profile with nothing in it: its tabs share cookies, and nobody else does. */
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
export async function login(page: Page, name: string): Promise<void> {
  await page.getByLabel('Your name').fill(name)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByText(`the server knows you as ${name}`).waitFor()
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
