// its code compiles and runs, and it stays short.
import { execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { compileAsReader } from './readme-project.js'
import { cookieOf } from './support/app.js'
import { atEnd } from './support/at-end.js'
import { open, refused } from './support/client.js'

const run = promisify(execFile)
const readme = read('README.md')
const code = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, block = '']) => block)
const [start = ''] = code
const testing = code.find((block) => block.includes("'ws-session-bridge/testing'")) ?? ''

describe('the code in the README', () => {
  let folder: string
  beforeAll(async () => {
    folder = await compileAsReader({ start, testing, everything: code.join('\n') })
  }, 180_000)

  it('compiles in strict mode, against the built types', () => {
    expect(code.length).toBeGreaterThan(1)
    expect(existsSync(join(folder, 'everything.js'))).toBe(true)
  })

  it('starts a server that lets in users who have logged in, and no other client', async () => {
    const { url, wsUrl } = await runStart(join(folder, 'start.js'))
    const cookie = cookieOf(await fetch(`${url}/login/Ada`, { method: 'POST' }))

    const { ws, next, closed } = await open(wsUrl, { cookie, origin: url })
    ws.send('Who am I?')
    expect(await next()).toBe('You are Ada')

    expect((await refused(wsUrl)).status).toBe(401)
    expect((await refused(wsUrl, { cookie: `${cookie.slice(0, -3)}xyz` })).status).toBe(401)
    expect((await refused(wsUrl, { cookie, origin: 'https://evil.example' })).status).toBe(403)

    expect((await fetch(`${url}/logout`, { method: 'POST', headers: { cookie } })).status).toBe(200)
    expect((await closed).code).toBe(4401)
    expect((await refused(wsUrl, { cookie })).status).toBe(401)
  })

  it('has a test that passes, under the test runner of Node, and ends by itself', async () => {
    const { stdout } = await run(process.execPath, ['--test-reporter=tap', join(folder, 'testing.js')])
    expect(stdout).toMatch(/^# pass 1$/m)
    expect(stdout).toMatch(/^# fail 0$/m)
  })

  it('gives every client of redis a listener for errors, because without one a lost connection ends the process', () => {
    const clients = readme.match(/createClient\(.*/g) ?? []
    expect(clients.length).toBeGreaterThan(0)
    expect(clients.filter((line) => !line.includes(".on('error', "))).toEqual([])
  })

  it('has a start that fits a screen', () => {
    expect(start.trim().split('\n').filter(Boolean).length).toBeLessThan(50)
  })
})

/** Runs the compiled start on a free port in place of 3000. */
async function runStart(file: string): Promise<{ url: string; wsUrl: string }> {
  const script = readFileSync(file, 'utf8')
  const anyPort = "server.listen(0, '127.0.0.1', () => process.send(server.address()))"
  expect(script).toContain('server.listen(3000)')
  writeFileSync(file, script.replace('server.listen(3000)', anyPort))
  const child = fork(file, { execArgv: [] })
  const exited = once(child, 'exit')
  atEnd(async () => {
    child.kill()
    await exited
  })
  const address = await new Promise<AddressInfo>((resolve, reject) => {
    child.once('message', (message) => {
      resolve(message as AddressInfo)
    })
    child.once('exit', (status) => {
      reject(new Error(`The start ended with ${status} before it listened`))
    })
  })
  const url = `http://127.0.0.1:${address.port}`
  return { url, wsUrl: `${url.replace('http', 'ws')}/chat` }
}

describe('the page in the README', () => {
  const [page = ''] = [...readme.matchAll(/^```js\n(.*?)^```$/gms)].map(([, block]) => block ?? '')

  /** Runs it with a browser's names. Each connection closes at once with the next of these codes. */
  function runPage(codes: readonly number[]) {
    const left = [...codes]
    const events: string[] = []
    const pauses: number[] = []
    class WebSocket {
      onclose?: (event: { code: number }) => void
      constructor(url: string) {
        const code = left.shift()
        if (code !== undefined) timers.push(() => this.onclose?.({ code }))
        events.push(`connect ${url}`)
      }
    }
    const timers: (() => unknown)[] = []
    const location = { origin: 'https://app.example', assign: (path: string) => events.push(`go to ${path}`) }
    const setTimeout = (callback: (pauseMs: number) => void, ms: number, next: number) => {
      pauses.push(ms)
      timers.push(() => callback(next))
    }
    // eslint-disable-next-line @typescript-eslint/no-implied-eval -- it is the README's code that is tried
    const run = new Function('WebSocket', 'location', 'setTimeout', page) as (...names: unknown[]) => void
    run(WebSocket, location, setTimeout)
    for (let timer = timers.shift(); timer !== undefined; timer = timers.shift()) timer()
    return { events, pauses }
  }

  const connect = 'connect wss://app.example/chat'

  it('shows the login after 4401, and does not come back by itself', () => {
    expect(runPage([4401]).events).toEqual([connect, 'go to /login'])
  })

  it('stays away after 4403', () => {
    expect(runPage([4403]).events).toEqual([connect])
  })

  it('comes back after 1001 and 1006, with pauses that are random and grow', () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.5)
    const { events, pauses } = runPage([1001, 1006, 1006, 4401])
    expect(events).toEqual([connect, connect, connect, connect, 'go to /login'])
    expect(pauses).toEqual([500, 1000, 2000])
  })
})

describe('the README', () => {
  it('can be read in a few minutes', () => {
    expect(readme.split(/\s+/).filter(Boolean).length).toBeLessThanOrEqual(1_200)
    const lines = readme.trimEnd().split('\n')
    expect(lines.length).toBeGreaterThanOrEqual(150)
    expect(lines.length).toBeLessThanOrEqual(180)
    expect(lines.filter((line) => line.startsWith('|') && line.length > 120)).toEqual([])
  })

  it('has commands that package.json knows, and links to files that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    const commands = [...readme.matchAll(/npm (?:run (\w+)|(test))\b/g)].map(([, script, test]) => script ?? test!)
    expect(commands).toEqual(expect.arrayContaining(['demo', 'setup', 'test']))
    expect(commands.filter((command) => !(command in scripts))).toEqual([])
    const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, link]) => link!)
    expect(links.filter((link) => !existsSync(new URL(`../${link}`, import.meta.url)))).toEqual([])
  })
})

function read(path: string): string {
  return readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
}
