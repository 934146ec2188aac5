/*
 * What Redis costs, and how soon is heard what another process does: one process with many sockets, each of a session of
 * its own, and this one, which changes, logs out and lets expire. Then the CPU of a handshake beside the middleware's.
 * In: SOCKETS (10 000), IDLE_S (60). Out: figures. It starts a redis-server of its own.
 */
import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'

import { RedisStore } from 'connect-redis'
import type { Request, Response } from 'express'
import session, { Cookie, MemoryStore, type SessionData, type Store } from 'express-session'
import { createClient } from 'redis'
import { createSessionBridge, type LiveStore } from 'ws-session-bridge'
import { redisLiveStore } from 'ws-session-bridge/redis'

import type { Heard } from './redis-node.js'

const sockets = Number(process.env.SOCKETS ?? 10_000)
const idleMs = Number(process.env.IDLE_S ?? 60) * 1_000
const prefix = 'bench:'
const secret = 'a secret as long as secrets are: 3f6d1f0a8c5b4e27'
const { signedCookie } = signer()

const redis = await startRedis()
const url = `redis://127.0.0.1:${redis.port}`
const client = await createClient({ url }).connect()
try {
  await hearing()
  await handshakes()
} finally {
  client.destroy()
  redis.process.kill('SIGKILL')
}

async function hearing(): Promise<void> {
  const ids = Array.from({ length: sockets }, (_, index) => `session-${index}`)
  for (let at = 0; at < ids.length; at += 500) {
    await Promise.all(ids.slice(at, at + 500).map((id) => put(id, { user: 'Ada Lovelace' })))
  }
  const bare = await memory()
  const node = await startNode()
  const opened = performance.now()
  const clients: Socket[] = []
  for (let at = 0; at < ids.length; at += 200) {
    clients.push(...(await Promise.all(ids.slice(at, at + 200).map((id) => upgraded(node.port, id)))))
  }
  console.log(`${sockets} sockets, each of a session of its own, opened in ${ms(performance.now() - opened)}`)
  const each = (await memory()) - bare
  console.log(`  memory in Redis          ${Math.round(each / sockets)} bytes for a session that is heard of`)

  // What the opening of so many left behind is collected in the meantime.
  await pause(3_000)

  const third = Math.floor(Math.min(sockets, 6_000) / 3)
  const [changing, leaving, expiring] = [
    ids.slice(0, third),
    ids.slice(third, 2 * third),
    ids.slice(2 * third, 3 * third),
  ]
  report('change, until heard', await node.heard('change', changing, (id) => put(id, { user: 'Grace Hopper' })))
  report('logout, until ended', await node.heard('destroyed', leaving, (id) => client.del(prefix + id)))
  report(
    'expiry, until ended',
    await node.heard('expired', expiring, async (id) => {
      const at = Date.now() + 500 + Math.floor(Math.random() * 1_000)
      await client.pExpireAt(prefix + id, at)
      return at
    }),
  )

  console.log(`  idle for ${idleMs / 1_000} s, with ${sockets - 2 * third} sockets …`)
  const [before, cpuBefore] = [await commands(), await node.cpu()]
  await pause(idleMs)
  // INFO itself, at the beginning, is none of theirs.
  const made = (await commands()) - before - 1
  console.log(
    `  idle                     ${((made / idleMs) * 1_000).toFixed(2)} commands a second, `,
    await since(node, cpuBefore),
  )
  for (const socket of clients) socket.destroy()
  node.process.kill()
}

async function since(node: Node, before: number): Promise<string> {
  return `${((((await node.cpu()) - before) / idleMs) * 100).toFixed(2)} % of a CPU`
}

type Node = Awaited<ReturnType<typeof startNode>>

async function startNode() {
  const script = new URL('redis-node.js', import.meta.url)
  const process = fork(script, [JSON.stringify({ url, prefix, secret })])
  const [port] = (await once(process, 'message')) as [number]
  return {
    process,
    port,
    cpu: () => cpuMsOf(process),
    /** Acts on each session; resolves to how long it took each time until the process heard, in ms. */
    async heard(what: string, ids: readonly string[], act: (id: string) => Promise<unknown>): Promise<number[]> {
      const begun = new Map<string, number>()
      const latencies: number[] = []
      const early = new Map<string, number>()
      const all = new Promise<void>((resolve) => {
        const hear = (heard: Heard): void => {
          if (heard.what !== what) return
          const since = begun.get(heard.sessionID)
          if (since === undefined) early.set(heard.sessionID, heard.at)
          else latencies.push(heard.at - since)
          if (latencies.length + early.size < ids.length) return
          process.off('message', hear)
          resolve()
        }
        process.on('message', hear)
      })
      for (const id of ids) {
        const now = performance.timeOrigin + performance.now()
        if (what !== 'expired') begun.set(id, now)
        const at = await act(id)
        if (what === 'expired') begun.set(id, at as number)
        await pause(1)
      }
      await all
      return latencies
    },
  }
}

async function cpuMsOf(child: ChildProcess): Promise<number> {
  const { readFile } = await import('node:fs/promises')
  // Fields 14 and 15 of proc(5)'s stat, in ticks of 10 ms; the name before them may have blanks in it.
  const stat = await readFile(`/proc/${child.pid ?? ''}/stat`, 'utf8').catch(() => '')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

function upgraded(port: number, id: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  const lines = [
    'GET / HTTP/1.1',
    'Host: localhost',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    `Cookie: ${signedCookie(id)}`,
  ]
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  return new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.once('data', (data) => {
      if (data.toString('latin1').startsWith('HTTP/1.1 101')) resolve(socket.resume())
      else reject(new Error(data.toString('latin1').split('\r\n', 1)[0]))
    })
  })
}

/* Handshakes ------------------------------------------------------------------------------------------------------- */

interface Candidate {
  readonly name: string
  readonly userOf: (request: IncomingMessage) => Promise<unknown>
}

async function handshakes(): Promise<void> {
  const ids = Array.from({ length: 1_000 }, (_, index) => `handshake-${index}`)
  await Promise.all(ids.map((id) => put(id, { user: 'Ada Lovelace' })))
  const cookies = ids.map(signedCookie)
  let next = 0
  const newRequest = (): IncomingMessage => {
    const cookie = cookies[(next += 1) % cookies.length]
    const headers = { host: 'app.example.com', origin: 'https://app.example.com', cookie }
    return { method: 'GET', url: '/chat', headers, socket: {}, connection: {} } as unknown as IncomingMessage
  }
  const store = new RedisStore({ client, prefix })
  const live = redisLiveStore(store)
  const candidates = [
    middleware(store),
    bridge('bridge.authenticate()', store),
    bridge('  with redisLiveStore', store, live),
  ]
  console.log('\nCPU of a handshake, 1 000 sessions in turn')
  for (const atOnce of [1, 64]) await race(candidates, atOnce, newRequest)
  await live.close()
}

async function race(
  candidates: readonly Candidate[],
  atOnce: number,
  newRequest: () => IncomingMessage,
): Promise<void> {
  const calls = atOnce === 1 ? 1_500 : 6_400
  const costs = new Map(candidates.map(({ name }) => [name, [] as number[]]))
  for (let round = 0; round < 9; round += 1) {
    for (const { name, userOf } of candidates) {
      const before = process.cpuUsage()
      const row = async (): Promise<void> => {
        for (let call = 0; call < calls / atOnce; call += 1) {
          if ((await userOf(newRequest())) !== 'Ada Lovelace') throw new Error(`${name} does not find the session`)
        }
      }
      await Promise.all(Array.from({ length: atOnce }, row))
      const { user, system } = process.cpuUsage(before)
      // The first rounds warm up.
      if (round > 1) costs.get(name)?.push((user + system) / calls)
    }
  }
  const [first = NaN] = [...costs.values()].map((values) => quantile(values, 0.5))
  for (const [name, values] of costs) {
    const cost = quantile(values, 0.5)
    console.log(
      `  ${String(atOnce).padStart(2)} at once  ${name.padEnd(28)}${cost.toFixed(1).padStart(7)} µs${(cost / first).toFixed(2).padStart(7)}`,
    )
  }
}

function middleware(store: Store): Candidate {
  const handle = session({ store, secret, resave: false, saveUninitialized: false })
  return {
    name: 'express-session middleware',
    userOf: (request) =>
      new Promise((resolve, reject) => {
        const asked = request as Request
        const response = { writeHead: ignore, end: ignore } as unknown as Response
        handle(asked, response, (error: unknown) => {
          if (error instanceof Error) reject(error)
          else resolve((asked.session as { user?: string }).user)
        })
      }),
  }
}

function bridge(name: string, store: Store, live?: LiveStore): Candidate {
  const made = createSessionBridge({ session: { store, secret }, live })
  return {
    name,
    async userOf(request) {
      const verdict = await made.authenticate(request)
      return verdict.accepted ? (verdict.context?.session as { user?: string }).user : undefined
    },
  }
}

function ignore(): void {
  // Nothing is answered here.
}

/* Redis ------------------------------------------------------------------------------------------------------------ */

async function put(id: string, data: object): Promise<void> {
  const cookie = new Cookie()
  cookie.maxAge = 3_600_000
  const record: SessionData = Object.assign({ cookie, roles: ['reader', 'writer'], basket: { total: 12.5 } }, data)
  await client.set(prefix + id, JSON.stringify(record), { expiration: { type: 'EX', value: 3_600 } })
}

async function memory(): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1])
}

async function commands(): Promise<number> {
  return Number(/total_commands_processed:(\d+)/.exec(await client.info('stats'))?.[1])
}

async function startRedis(): Promise<{ port: number; process: ChildProcess }> {
  const free = createServer().listen(0, '127.0.0.1')
  await once(free, 'listening')
  const { port } = free.address() as AddressInfo
  free.close()
  await once(free, 'close')
  const options = ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--dir', tmpdir()]
  const process = spawn('redis-server', options, { stdio: ['ignore', 'pipe', 'inherit'] })
  for await (const chunk of process.stdout) if (String(chunk).includes('Ready to accept')) break
  return { port, process }
}

function signer(): { signedCookie: (id: string) => string } {
  const signing = createSessionBridge({ session: { secret, store: new MemoryStore() } })
  return { signedCookie: (id) => signing.signedCookie(id) }
}

/* Figures ---------------------------------------------------------------------------------------------------------- */

function report(what: string, latencies: readonly number[]): void {
  const figures = [0.5, 0.99, 1].map((part) => ms(quantile(latencies, part)))
  console.log(
    `  ${what.padEnd(24)} p50 ${figures[0] ?? ''}, p99 ${figures[1] ?? ''}, max ${figures[2] ?? ''} (${latencies.length})`,
  )
}

function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(Math.floor(sorted.length * part), sorted.length - 1)] ?? NaN
}

function ms(value: number): string {
  return `${value.toFixed(value < 100 ? 2 : 0)} ms`
}
