// its code compiles and runs, and its tables say what src says.
import { execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { MemoryStore } from 'express-session'
import { beforeAll, describe, expect, it } from 'vitest'
import { CloseCode, createSessionBridge, type SessionBridgeOptions } from 'ws-session-bridge'
import { refusalStatus } from '../src/refusals.js'
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
  }, 60_000)

  it('compiles in strict mode, against the built types', () => {
    expect(code.length).toBeGreaterThan(1)
    expect(existsSync(join(folder, 'everything.js'))).toBe(true)
  })

  it('starts a server that lets in who has logged in, and nobody else', async () => {
    const { url, wsUrl } = await runStart(join(folder, 'start.js'))
    const cookie = cookieOf(await fetch(`${url}/login/Ada`, { method: 'POST' }))

    const { ws, next } = await open(wsUrl, { cookie, origin: url })
    ws.send('Who am I?')
    expect(await next()).toBe('You are Ada')

    expect((await refused(wsUrl)).status).toBe(401)
    expect((await refused(wsUrl, { cookie: `${cookie.slice(0, -3)}xyz` })).status).toBe(401)
    expect((await refused(wsUrl, { cookie, origin: 'https://evil.example' })).status).toBe(403)
  })

  it('has a test that passes, under the test runner of Node, and ends by itself', async () => {
    const { stdout } = await run(process.execPath, ['--test-reporter=tap', join(folder, 'testing.js')])
    expect(stdout).toMatch(/^# pass 1$/m)
    expect(stdout).toMatch(/^# fail 0$/m)
  })

  it('gives every client of redis a listener for errors, without which the end of Redis is that of the process', () => {
    const clients = readme.match(/create(?:Client|Cluster)\(.*/g) ?? []
    expect(clients.length).toBeGreaterThan(1)
    expect(clients.filter((line) => !line.includes(".on('error', "))).toEqual([])
  })

  it('has a start that fits a screen', () => {
    expect(start.trim().split('\n').filter(Boolean).length).toBeLessThan(35)
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

describe('the README', () => {
  it('names every export', () => {
    const exported = [...read('src/index.ts').matchAll(/\{([^}]*)\}/g)].flatMap(([, names = '']) => names.match(/\w+/g))
    expect(exported).toContain('createSessionBridge')
    expect(exported.filter((name) => !new RegExp(`\\b${name}\\b`).test(readme))).toEqual([])
  })

  it('has a row for every option, and for no other', () => {
    // The bridge itself lists them when it meets one that it does not know.
    const options = { session: { secret: 'a secret', store: new MemoryStore() }, unknown: true } as SessionBridgeOptions
    const known = /The options are: (.*)\./.exec(messageOf(() => createSessionBridge(options)))?.[1]?.split(', ')
    expect(rowsOf('option').map(([option]) => option)).toEqual(known)
  })

  it('has a row for every refusal reason, with its status', () => {
    const rows = rowsOf('reason').map(([reason, status]) => [reason, Number(status)])
    expect(Object.fromEntries(rows)).toEqual(refusalStatus)
  })

  it('has a row for every close code that the bridge sends, and its names', () => {
    const codes = new Set(rowsOf('code').map(([closeCode]) => Number(closeCode)))
    expect(codes).toEqual(new Set(Object.values(CloseCode)))
    for (const [, name = ''] of readme.matchAll(/CloseCode\.(\w+)/g)) expect(CloseCode).toHaveProperty(name)
  })

  it('estimates with the figures that docs/benchmarks.md has', () => {
    const cellsOf = (row: string) =>
      new RegExp(`^\\| ${row} +\\|(.*)\\|$`, 'm').exec(read('docs/benchmarks.md'))?.[1]?.split('|')
    const resident = Number(cellsOf('bridge, a session each')?.at(-1)) / 1000
    expect(readme).toContain(`20 000 sockets × ${resident.toFixed(1)} KB `)
    expect(readme).toContain(
      `1 000 000 sessions × ${Number(cellsOf("Redis' memory for a session, bytes")).toFixed()} bytes `,
    )
    const [median, most] = cellsOf('change, until heard')?.map(Number) ?? []
    expect(readme).toContain(`${median} ms in the median, ${most} ms in 99 of 100`)
  })

  it('has commands that package.json knows, and links to files that are there', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    const commands = [...readme.matchAll(/npm (?:run (\w+)|(test))\b/g)].map(([, script, test]) => script ?? test!)
    expect(commands).toEqual(expect.arrayContaining(['demo', 'setup', 'test']))
    expect(commands.filter((command) => !(command in scripts))).toEqual([])
    const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, link]) => link!)
    expect(links.filter((link) => !existsSync(new URL(`../${link}`, import.meta.url)))).toEqual([])
  })
})

/** The rows of the table whose first column is headed so, as the bare text of their cells. */
function rowsOf(heading: string): string[][] {
  const table = new RegExp(`^\\| ${heading} +\\|.*\\n\\|[-| ]+\\|\\n((?:\\|.*\\n)+)`, 'm').exec(readme)?.[1] ?? ''
  return table
    .trim()
    .split('\n')
    .map((row) => row.split('|').map((cell) => cell.trim().replaceAll('`', '')))
    .map((cells) => cells.slice(1, -1))
}

function read(path: string): string {
  return readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
}

function messageOf(throwing: () => unknown): string {
  try {
    throwing()
  } catch (error) {
    return String(error)
  }
  return 'nothing was thrown'
}
