import { setTimeout as pause } from 'node:timers/promises'
import { Cookie, Store, type SessionData } from 'express-session'
import { describe, expect, it } from 'vitest'
import { SessionEndedError, StoreUnavailableError, type SessionContext } from 'ws-session-bridge'
import { startApp, type App } from '../support/app.js'
import { createRandom, type Random } from '../support/random.js'
import { rawRequest, upgradeRequest, type RawRequest } from '../support/raw-request.js'
import { scaled, seedOf } from '../support/soak.js'
import { until } from '../live/bound.js'
import { watchLeftBehind } from './left-behind.js'
import { watchTimeouts } from './open-timeouts.js'

const stormMs = scaled(3_000, 120_000)
const sessions = 20
const timeoutMs = 100

function ignore(): void {}

type Callback = (error?: unknown, session?: SessionData | null) => void

/** How a store may answer: what it was asked for is done in every case but the last three. */
const manners = [
  'at once',
  'soon',
  'soon',
  'twice',
  'late',
  'never',
  'then throws',
  'by a promise',
  'throws',
  'fails',
  'rejects',
] as const

/** Keeps JSON in a map, and answers as it likes while it is `wayward`. */
class WaywardStore extends Store {
  readonly data = new Map<string, string>()
  wayward = false

  constructor(readonly random: Random) {
    super()
  }

  override get(sessionID: string, callback: Callback): unknown {
    return this.#call(callback, () => {
      const json = this.data.get(sessionID)
      return json === undefined ? null : (JSON.parse(json) as SessionData)
    })
  }

  override set(sessionID: string, session: SessionData, callback: Callback = ignore): unknown {
    return this.#call(callback, () => void this.data.set(sessionID, JSON.stringify(session)))
  }

  override touch(_sessionID: string, _session: SessionData, callback: Callback = ignore): unknown {
    return this.#call(callback, () => undefined)
  }

  override destroy(sessionID: string, callback: Callback = ignore): unknown {
    return this.#call(callback, () => void this.data.delete(sessionID))
  }

  #call(callback: Callback, act: () => SessionData | null | undefined): unknown {
    const manner = this.wayward ? this.random.one(manners) : 'soon'
    if (manner === 'throws') throw new Error('The store throws')
    if (manner === 'rejects') return Promise.reject(new Error('The store rejects'))
    if (manner === 'fails') return void setImmediate(callback, new Error('The store fails'))
    const found = act()
    const answer = () => {
      callback(null, found)
    }
    if (manner === 'at once') answer()
    else if (manner === 'late') setTimeout(answer, timeoutMs * (1 + this.random.share()))
    else if (manner !== 'never') setImmediate(answer)
    if (manner === 'twice')
      setTimeout(callback, this.random.below(2 * timeoutMs), new Error('and again'), { cookie: 5 })
    if (manner === 'then throws') throw new Error('The store throws after all')
    if (manner === 'by a promise') return Promise.resolve({ cookie: 5 })
    return undefined
  }
}

describe('a store that answers late, twice, never, or with a failure', () => {
  it('lets no client in whose session is gone, hangs nothing, and all is true again when it has recovered', async () => {
    const random = createRandom(seedOf('STORE_SEED'))
    const timers = watchTimeouts()
    const store = new WaywardStore(random)
    let changes = 0
    const app = await startApp({
      store,
      bridge: { authorize: () => true, handshakeTimeoutMs: timeoutMs, unverifiedMs: 1_000, revalidateMs: 500 },
      onConnection(_ws, request, context) {
        context.on('change', () => (changes += 1))
        // As a handler would, and does not wait for it.
        if (random.share() < 0.2) request.session.save(() => undefined)
      },
    })
    const { bridge } = app
    const anyID = () => `id ${random.below(sessions)}`
    const put = (id: string) => store.data.set(id, JSON.stringify({ cookie: new Cookie(), views: random.below(1e9) }))

    const statuses = new Map<string, number>()
    const failures = new Map<string, number>()
    const count = (counts: Map<string, number>, name: string) => counts.set(name, (counts.get(name) ?? 0) + 1)
    const visit = async (): Promise<void> => {
      const client = rawRequest(app.port, upgradeRequest({ cookie: bridge.signedCookie(anyID()) }))
      const [, status = 'none'] = /^HTTP\/1\.1 (\d+)/.exec(await client.receivedUntil('\r\n\r\n')) ?? []
      count(statuses, status)
      if (status !== '101') return
      await pause(random.below(300))
      client.socket.end()
    }
    const expected = async (work: Promise<unknown>): Promise<void> => {
      await work.catch((error: unknown) => {
        const known = error instanceof StoreUnavailableError || error instanceof SessionEndedError
        count(failures, known ? error.code : String(error))
      })
    }
    const someone = (): SessionContext | undefined => [...bridge.connections()][random.below(bridge.stats().sockets)]
    const acts: [weight: number, act: () => Promise<unknown>][] = [
      [20, visit],
      [10, () => expected(bridge.update(anyID(), (draft) => void (draft.views = random.below(1e9))))],
      [3, () => expected(bridge.load(anyID()))],
      [2, () => expected(bridge.destroy(anyID()))],
      [5, () => expected(someone()?.update((draft) => void (draft.role = 'admin')) ?? Promise.resolve())],
      [3, () => expected(someone()?.touch() ?? Promise.resolve())],
      [3, () => expected(someone()?.refresh() ?? Promise.resolve())],
      // What other processes write, and what this one's HTTP side does.
      [6, async () => put(anyID())],
      [2, async () => store.data.delete(anyID())],
      [
        3,
        async () => {
          bridge.check(random.share() < 0.5 ? anyID() : undefined)
        },
      ],
    ]
    const weights = acts.reduce((sum, [weight]) => sum + weight, 0)
    const storm = async (ms: number): Promise<void> => {
      const underWay = new Set<Promise<unknown>>()
      const over = performance.now() + ms
      while (performance.now() < over) {
        let at = random.share() * weights
        const acting = acts.find(([weight]) => (at -= weight) < 0)![1]()
        underWay.add(acting)
        void acting.then(() => underWay.delete(acting))
        await pause(random.below(4))
      }
      // None of them hangs: this ends, or the test does not.
      await Promise.all(underWay)
    }

    store.wayward = true
    await storm(scaled(2_000, 20_000))
    store.wayward = false
    await until(() => bridge.stats().sockets === 0)
    const left = await watchLeftBehind(app, timers)
    statuses.clear()
    store.wayward = true
    await storm(stormMs)

    store.wayward = false
    for (let index = 0; index < sessions; index += 1) put(`id ${index}`)
    // Nothing that was under way comes after this, and some sockets come while all is well.
    await pause(3 * timeoutMs)
    const clients = []
    for (let index = 0; index < sessions; index += 1) clients.push(await letIn(app, `id ${index}`))
    for (let index = 0; index < sessions; index += 2) store.data.delete(`id ${index}`)
    for (let index = 1; index < sessions; index += 2) put(`id ${index}`)
    bridge.check()
    await until(() => [...bridge.connections()].every(({ sessionID, session }) => isTrue(store, sessionID, session)))
    expect(bridge.stats().sockets).toBe(sessions / 2)
    for (const { socket } of clients) socket.destroy()
    await until(() => bridge.stats().sockets === 0)

    const seen = await left.isNothing()
    console.log(`${stormMs} ms of a wayward store: answers ${list(statuses)}; calls failed ${list(failures)}; ${seen}`)
    expect([...statuses.keys()].sort()).toEqual(['101', '401', '503'])
    expect([...failures.keys()].sort()).toEqual(['SESSION_ENDED', 'STORE_UNAVAILABLE'])
    expect(changes).toBeGreaterThan(0)
  })
})

function isTrue(store: WaywardStore, sessionID: string, session: object): boolean {
  const json = store.data.get(sessionID)
  return json !== undefined && (JSON.parse(json) as SessionData).views === (session as SessionData).views
}

/** A client of that session. The deadline of its handshake is so short that a busy machine may miss it. */
async function letIn({ port, bridge }: App, sessionID: string): Promise<RawRequest> {
  for (;;) {
    const client = rawRequest(port, upgradeRequest({ cookie: bridge.signedCookie(sessionID) }))
    const head = await client.receivedUntil('\r\n\r\n')
    if (head.startsWith('HTTP/1.1 101 ')) return client
    expect(head).toMatch(/^HTTP\/1\.1 503 /)
  }
}

function list(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([name, count]) => `${name} ${count}`).join(', ')
}
