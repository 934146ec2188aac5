// A started server that the bridge shares with another party, checked from outside.
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { WebSocket } from 'ws'

/** How a party is started, and what its own WebSocket is. */
export interface SharedServer {
  readonly command: string
  readonly args?: readonly string[]
  readonly folder: string
  /** The script in `folder`, whose port 3000 is replaced. */
  readonly script: string
  readonly env?: Readonly<Record<string, string>>
  /** The path of the party's own WebSocket, if it has one. */
  readonly ownPath?: string | undefined
  /** The bridge's socket answers a message, and the process has no shutdown of its own. Default: it speaks first. */
  readonly asks?: boolean
}

/** Resolves to what was found; rejects at the first thing that does not hold. */
export async function checkSharedServer(shared: SharedServer): Promise<string> {
  const port = await freePort()
  const script = join(shared.folder, `started-${port}.js`)
  writeFileSync(script, readFileSync(join(shared.folder, shared.script), 'utf8').replace('3000', String(port)))
  const child = spawn(shared.command, [...(shared.args ?? []), script], {
    cwd: shared.folder,
    env: { ...process.env, NO_COLOR: '1', NEXT_TELEMETRY_DISABLED: '1', ...shared.env },
  })
  let log = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (log += chunk.toString()))
  try {
    return await Promise.race([check(shared, child, port), late()])
  } catch (cause) {
    throw new Error(`${String(cause)}\nThe server said:\n${log}`, { cause })
  } finally {
    child.kill('SIGKILL')
  }
}

async function check({ ownPath, asks = false }: SharedServer, child: ChildProcess, port: number) {
  const [url, wsUrl] = [`http://localhost:${port}`, `ws://localhost:${port}`]
  // A page is compiled on demand, and Next listens for upgrades from its first request on.
  await answers(url, child)
  const login = await fetch(`${url}/login/Ada`, { method: 'POST' })
  const cookie = login.headers.getSetCookie()[0]!.split(';', 1)[0]!

  const chat = await open(`${wsUrl}/chat`, url, cookie)
  if (asks) chat.ws.send('?')
  assert.equal(await chat.first, 'You are Ada')
  const own = ownPath === undefined ? undefined : await open(wsUrl + ownPath, url, cookie)
  if (own !== undefined) assert.notEqual(await own.first, '')
  const forged = cookie.replace(/[^.]*$/, 'A'.repeat(43))
  assert.equal(await statusOf(`${wsUrl}/chat`, url, forged), 401)
  assert.equal(await statusOf(`${wsUrl}/chat`, url), 401)
  assert.equal(await statusOf(`${wsUrl}/chat`, 'https://evil.example', cookie), 403)
  assert.equal(await statusOf(`${wsUrl}/nowhere`, url, cookie), 404)
  assert.equal(chat.ws.readyState, WebSocket.OPEN)
  if (asks) return 'in with a session, 401, 403, 404'

  const begun = performance.now()
  child.kill('SIGTERM')
  assert.equal(await chat.closed, 1001)
  const [code] = (await once(child, 'exit')) as [number | null]
  assert.equal(code, 0)
  return `both open, 401, 403, 404, shut down in ${Math.round(performance.now() - begun)} ms`
}

async function open(address: string, origin: string, cookie: string) {
  const ws = new WebSocket(address, { headers: { cookie, origin } })
  const closed = new Promise<number>((resolve) => ws.on('close', resolve))
  const first = new Promise<string>((resolve, reject) => {
    ws.on('message', (data: Buffer) => resolve(data.toString()))
    ws.on('error', reject)
    void closed.then((code) => reject(new Error(`${address} closed with ${code} before its first message`)))
  })
  await Promise.race([once(ws, 'open'), first])
  return { ws, first, closed }
}

/* 0: the connection ended without an answer. */
function statusOf(address: string, origin: string, cookie?: string): Promise<number | undefined> {
  const ws = new WebSocket(address, { headers: { origin, ...(cookie !== undefined && { cookie }) } })
  return new Promise((resolve) => {
    ws.on('unexpected-response', (request, { statusCode }) => {
      request.destroy()
      resolve(statusCode)
    })
    ws.on('open', () => resolve(101))
    ws.on('error', () => resolve(0))
  })
}

/** Resolves when a GET is answered. */
async function answers(address: string, child: ChildProcess): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error('The server did not start, or stopped.')
    try {
      await (await fetch(address)).text()
      return
    } catch {
      await pause(100)
    }
  }
}

async function late(): Promise<never> {
  // A page that is compiled on a busy machine takes half a minute.
  await pause(120_000, undefined, { ref: false })
  throw new Error('It took more than two minutes.')
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
