/*
 * What a handshake costs: `bridge.authenticate()`, beside express-session's own middleware and beside code as one writes it
 * by hand, each on a store of its own with the same record. The bridge also checks the Origin; the other two do not.
 * In: REDIS_URL, or nothing. Out: CPU and wall time of one call, as medians of rounds in which each has its turn.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { createRequire } from 'node:module'
import { cpus } from 'node:os'

import { parse } from 'cookie'
import { unsign } from 'cookie-signature'
import type { Request, Response } from 'express'
import session, { Cookie, MemoryStore, type SessionData, type Store } from 'express-session'
import { createSessionBridge } from 'ws-session-bridge'

declare module 'express-session' {
  interface SessionData {
    user?: string
  }
}

/** One way from a request to the user in its session. */
interface Candidate {
  readonly name: string
  readonly userOf: (request: IncomingMessage) => Promise<unknown>
}

/** Microseconds for one call. */
interface Cost {
  readonly cpu: number
  readonly wall: number
}

type CreateStore = (name: string) => Store

const rounds = 11
const roundMs = 100
const warmUpCalls = 3_000

const secret = 'a secret as long as secrets are: 3f6d1f0a8c5b4e27'
const sessionID = randomUUID()
const user = 'Ada Lovelace'
const cookie = new Cookie()
cookie.maxAge = 3_600_000
const record: SessionData = Object.assign({ cookie, user }, { roles: ['reader', 'writer'], basket: { total: 12.5 } })
const cookieHeader = createSessionBridge({ session: { secret, store: new MemoryStore() } }).signedCookie(sessionID)

console.log(machineAndVersions())
await compare('in memory', () => new MemoryStore())
if (process.env.REDIS_URL) await compareOnRedis(process.env.REDIS_URL)
else console.log('\nSet REDIS_URL to compare on Redis, too.')

async function compareOnRedis(url: string): Promise<void> {
  const { createClient } = await import('redis')
  const { RedisStore } = await import('connect-redis')
  const client = await createClient({ url }).connect()
  const prefix = `bench:${randomUUID()}:`
  const keys: string[] = []
  await compare('on Redis', (name) => {
    keys.push(`${prefix}${name}:${sessionID}`)
    return new RedisStore({ client, prefix: `${prefix}${name}:` })
  })
  await client.del(keys)
  client.destroy()
}

async function compare(where: string, createStore: CreateStore): Promise<void> {
  const candidates = [
    middleware(await filled(createStore('middleware'))),
    byHand(await filled(createStore('by-hand'))),
    bridge(await filled(createStore('bridge'))),
  ]
  for (const atOnce of [1, 64]) await race(`${where}, ${atOnce} at once`, candidates, atOnce)
}

function middleware(store: Store): Candidate {
  const handle = session({ store, secret, resave: false, saveUninitialized: false })
  return {
    name: 'express-session middleware',
    userOf: (request) =>
      new Promise((resolve, reject) => {
        const asked = request as Request
        // What the middleware touches of a response before it calls `next`.
        const response = { writeHead: ignore, end: ignore } as unknown as Response
        handle(asked, response, (error: unknown) => {
          if (error instanceof Error) reject(error)
          else resolve(asked.session.user)
        })
      }),
  }
}

function byHand(store: Store): Candidate {
  return {
    name: 'cookie.parse, unsign, store.get',
    userOf: ({ headers }) =>
      new Promise((resolve, reject) => {
        const value = parse(headers.cookie ?? '')['connect.sid']
        const id = value?.startsWith('s:') === true && unsign(value.slice(2), secret)
        if (!id) return resolve(undefined)
        store.get(id, (error: Error | undefined, found) => {
          if (error) reject(error)
          else resolve(found?.user)
        })
      }),
  }
}

function bridge(store: Store): Candidate {
  const bridge = createSessionBridge({ session: { store, secret } })
  return {
    name: 'bridge.authenticate()',
    async userOf(request) {
      const verdict = await bridge.authenticate(request)
      return verdict.accepted ? verdict.context?.session.user : undefined
    },
  }
}

function ignore(): void {
  // Nothing is answered here.
}

/* Both a candidate's request and what it hangs on it are new for every call, as they are in a server. */
function newRequest(): IncomingMessage {
  const headers = { host: 'app.example.com', origin: 'https://app.example.com', cookie: cookieHeader }
  return { method: 'GET', url: '/chat', headers, socket: {}, connection: {} } as unknown as IncomingMessage
}

async function filled(store: Store): Promise<Store> {
  await new Promise<void>((resolve, reject) => {
    store.set(sessionID, record, (error: Error | undefined) => {
      if (error) reject(error)
      else resolve()
    })
  })
  return store
}

/* In turn within every round, so that whatever else the machine does meets all of them. */
async function race(title: string, candidates: readonly Candidate[], atOnce: number): Promise<void> {
  const lanes = []
  for (const candidate of candidates) {
    if ((await candidate.userOf(newRequest())) !== user) throw new Error(`${candidate.name} does not find the session`)
    const { wall } = await measure(candidate, atOnce, warmUpCalls)
    lanes.push({ candidate, calls: (roundMs * 1000) / wall, costs: [] as Cost[] })
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const { candidate, calls, costs } of lanes) costs.push(await measure(candidate, atOnce, calls))
  }
  report(
    title,
    lanes.map(({ candidate: { name }, costs }) => ({
      name,
      cpu: median(costs.map(({ cpu }) => cpu)),
      wall: median(costs.map(({ wall }) => wall)),
    })),
  )
}

async function measure({ userOf }: Candidate, atOnce: number, calls: number): Promise<Cost> {
  const callsEach = Math.ceil(calls / atOnce)
  const row = async (): Promise<void> => {
    for (let call = 0; call < callsEach; call += 1) await userOf(newRequest())
  }
  const wallBefore = performance.now()
  const cpuBefore = process.cpuUsage()
  await Promise.all(Array.from({ length: atOnce }, row))
  const { user: inUser, system } = process.cpuUsage(cpuBefore)
  const wall = (performance.now() - wallBefore) * 1000
  const made = callsEach * atOnce
  return { cpu: (inUser + system) / made, wall: wall / made }
}

function report(title: string, lines: readonly ({ readonly name: string } & Cost)[]): void {
  const [first = { cpu: NaN, wall: NaN }] = lines
  console.log(`\n${title.padEnd(36)}${['CPU µs', 'ratio', 'wall µs', 'ratio'].map(column).join('')}`)
  for (const { name, cpu, wall } of lines) {
    const figures = [cpu.toFixed(1), (cpu / first.cpu).toFixed(2), wall.toFixed(1), (wall / first.wall).toFixed(2)]
    console.log(`  ${name.padEnd(34)}${figures.map(column).join('')}`)
  }
}

function column(text: string): string {
  return text.padStart(9)
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN
}

function machineAndVersions(): string {
  const require = createRequire(import.meta.url)
  const versions = ['express-session', 'cookie', 'cookie-signature'].map((name) => {
    const { version } = require(`${name}/package.json`) as { version: string }
    return `${name} ${version}`
  })
  const processors = cpus()
  const machine = `${processors.length} x ${processors[0]?.model.trim() ?? 'unknown CPU'}`
  return [`Node ${process.versions.node}`, `${process.platform} ${process.arch}`, machine, ...versions].join(', ')
}
