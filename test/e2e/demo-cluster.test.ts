// two nodes and a Redis that people see working together, and that end together.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cpSync } from 'node:fs'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import type { Browser } from 'playwright-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { atEnd } from '../support/at-end.js'
import { startChromium } from '../support/chromium.js'
import { compiled } from '../support/forked.js'
import { freePort } from '../support/redis-server.js'
import { redisUrl } from '../support/redis.js'
import { connected, login, newVisitor, openTab, say, visit } from './demo-in-browser.js'

const root = resolve(import.meta.dirname, '../..')

let browser: Browser
let script: string
beforeAll(async () => {
  browser = await startChromium()
  const built = compiled('demo/src')
  for (const pages of ['public', 'other-site'])
    cpSync(join(root, 'demo', pages), join(built, 'demo', pages), { recursive: true })
  script = join(built, 'demo/src/cluster.js')
})

interface Cluster {
  readonly process: ChildProcess
  readonly urls: readonly [string, string]
  /** Undefined where it is not the cluster's own. */
  readonly redisPort: number | undefined
  /** Resolves when neither the nodes nor their Redis answer any longer. */
  gone(): Promise<void>
}

async function startCluster(env: Record<string, string> = {}): Promise<Cluster> {
  const { REDIS_URL: _given, ...inherited } = process.env
  const child = spawn(process.execPath, [script], {
    // The second node's is the first one's and one more, or the next free one.
    env: { ...inherited, PORT: String(await freePort()), ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  atEnd(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'exit')
  })
  const text = await new Promise<string>((found) => {
    let all = ''
    child.stdout.on('data', (chunk: Buffer) => {
      all += chunk.toString()
      if (all.includes('\n')) found(all)
    })
  })
  const urls = [...text.matchAll(/http:\/\/localhost:\d+/g)].map(([url]) => url) as [string, string]
  const redisPort = /redis:\/\/127\.0\.0\.1:(\d+)/.exec(text)?.[1]
  const ports = [...urls.map((url) => new URL(url).port), ...(redisPort ? [redisPort] : [])].map(Number)
  return {
    process: child,
    urls,
    redisPort: redisPort === undefined ? undefined : Number(redisPort),
    gone: async () => {
      for (const port of ports) await expect.poll(() => answers(port), { timeout: 15_000 }).toBe(false)
    },
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((known) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      known(true)
    })
    socket.once('error', () => {
      known(false)
    })
  })
}

describe('npm run demo:cluster', () => {
  it('starts two nodes: what happens on one is seen on the other, also after five seconds without Redis', async () => {
    const { urls, process: cluster, gone } = await startCluster()
    const [ada, grace] = [await newVisitor(browser), await newVisitor(browser)]
    const admin = await openTab(ada, urls[0])
    await login(admin, 'Ada', 'admin')
    const second = await openTab(ada, urls[1])
    await second.locator('#status', { hasText: 'Connected to node 2 as Ada' }).waitFor()
    const other = await openTab(grace, urls[1])
    await login(other, 'Grace')
    await say(other, 'Hello, node 1')
    await admin.locator('#log li', { hasText: 'Hello, node 1' }).waitFor()
    await visit(admin, 'Monitor')
    await admin.locator('#nodes li[data-state=open]', { hasText: 'node 2' }).waitFor()

    await admin.getByRole('button', { name: 'Stop Redis for five seconds' }).click()
    await admin.locator('#nodes li[data-state=wait]', { hasText: 'cannot report while Redis is stopped' }).waitFor()
    await admin.locator('#probes li', { hasText: '503' }).first().waitFor()
    await admin
      .getByText(/\d+ handshakes? refused \(.*503 store-failed.*\)\. Handshakes succeeded again after/)
      .waitFor()

    const statuses = await admin.locator('#probes strong').allTextContents()
    expect(statuses[0]).toBe('101')
    expect(statuses.at(-1)).toBe('101')
    expect(new Set(statuses)).toEqual(new Set(['101', '503']))
    await admin.locator('.chart', { hasText: 'refused' }).getByText('store-failed').waitFor()
    await admin.locator('#nodes li[data-state=open]', { hasText: 'node 2' }).waitFor()
    // No user has lost a socket meanwhile.
    for (const tab of [admin, second, other]) {
      expect(await tab.locator('#events').getByText('Closed').count()).toBe(0)
    }

    await second.getByRole('button', { name: 'Log out' }).click()
    for (const tab of [admin, second]) await tab.getByText('Socket closed: 4401 destroyed').waitFor()
    await connected(other, 'Grace')
    expect([...ada.complaints, ...grace.complaints]).toEqual([])

    const exited = once(cluster, 'exit') as Promise<[number]>
    cluster.kill('SIGINT')
    await other.getByText('Trying again').waitFor()
    const [code] = await exited
    expect(code).toBe(0)
    await gone()
  })

  it('leaves nothing behind when it is killed', async () => {
    const { process: cluster, redisPort, gone } = await startCluster()
    expect(await answers(redisPort!)).toBe(true)
    cluster.kill('SIGKILL')
    await gone()
  })

  it('takes the Redis of REDIS_URL, and does not offer to stop it', async () => {
    const { urls, redisPort } = await startCluster({ REDIS_URL: redisUrl() })
    expect(redisPort).toBeUndefined()
    const admin = await openTab(await newVisitor(browser), urls[1])
    await login(admin, 'Ada', 'admin')
    await visit(admin, 'Monitor')
    await admin.locator('#nodes li').nth(1).waitFor()
    expect(await admin.getByRole('button', { name: 'Stop Redis' }).count()).toBe(0)
  })

  it('says what to install where there is no Redis', async () => {
    const child = spawn(process.execPath, [script], {
      env: { PATH: '/nowhere' },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
    const [code] = (await once(child, 'close')) as [number]
    expect(code).toBe(1)
    expect(said).toBe('No redis-server in the PATH. Install one (`npm run setup` does), or set REDIS_URL.\n')
  })
})
