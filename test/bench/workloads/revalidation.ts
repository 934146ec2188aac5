/*
 * A check of all sessions at once, as after a lost connection to the store.
 */
import { MemoryStore, type SessionData, type Store } from 'express-session'
import {
  createSessionBridge,
  type BoundConnection,
  type LiveStore,
  type SessionBridge,
  type StoredSession,
} from 'ws-session-bridge'
import { redisLiveStore } from 'ws-session-bridge/redis'

import type { Bench, Workload } from '../bench.js'
import { openRedisStore } from '../redis-store.js'
import { atOnce, median } from '../rounds.js'
import { cookieOf, fill, newRecord, sessionOptionsOf } from '../sessions.js'
import type { Row } from '../table.js'

interface Candidate {
  readonly name: string
  readonly store: Store
  readonly live?: LiveStore
}

export const revalidation: Workload = {
  name: 'revalidation',
  async run(bench) {
    const count = bench.sized(100_000, 10_000)
    const redis = await openRedisStore(await bench.redisUrl())
    await fill(redis.store, count)
    const rows: Row[] = []
    const candidates: Candidate[] = [
      { name: 'a LiveStore in memory', store: new MemoryStore(), live: new LiveStoreInMemory() },
      { name: 'redisLiveStore', store: redis.store, live: redisLiveStore(redis.store) },
    ]
    for (const candidate of candidates) rows.push(await measure(bench, candidate, count))
    await redis.close()
    const [inMemory] = rows
    bench.add({
      workload: 'revalidation',
      title: `a check of ${count} sessions at once, each with a connection`,
      columns: [
        { name: 'ms', digits: 0 },
        { name: 'CPU ms', digits: 0 },
        { name: 'event loop held up, ms at most', digits: 1 },
      ],
      rows,
      aims: [
        { what: `ms for ${count}, in memory`, atMost: 400, got: inMemory?.values[0] ?? NaN },
        {
          what: 'event loop held up, ms at most',
          atMost: 50,
          got: Math.max(...rows.map(({ values }) => values[2] ?? NaN)),
        },
      ],
    })
  },
}

async function measure(bench: Bench, { name, store, live }: Candidate, count: number): Promise<Row> {
  bench.stage(`revalidation of ${count}, ${name}`)
  const counted = new Counting(live as LiveStore)
  const bridge = createSessionBridge({ session: sessionOptionsOf(store), live: counted, maxPending: count })
  const connections: BoundConnection[] = []
  await atOnce(500, count, (index) => bindOne(bridge, index, connections))
  await counted.quiet()
  const runs: { ms: number; cpu: number; longest: number }[] = []
  for (let run = 0; run < bench.sized(5, 3); run += 1) {
    bench.progress(`run ${run + 1}`)
    const loop = watchLoop()
    const begun = performance.now()
    const before = process.cpuUsage()
    bridge.check()
    await counted.answered(count)
    const { user, system } = process.cpuUsage(before)
    runs.push({ ms: performance.now() - begun, cpu: (user + system) / 1_000, longest: await loop() })
  }
  await bridge.close()
  return {
    name,
    values: [
      median(runs.map(({ ms }) => ms)),
      median(runs.map(({ cpu }) => cpu)),
      median(runs.map(({ longest }) => longest)),
    ],
  }
}

async function bindOne(bridge: SessionBridge, index: number, connections: BoundConnection[]): Promise<void> {
  const request = { method: 'GET', url: '/', headers: { cookie: cookieOf(index) } }
  const verdict = await bridge.authenticate(request as unknown as Parameters<SessionBridge['authenticate']>[0])
  if (!verdict.accepted || verdict.context === undefined) throw new Error('A session was not found.')
  let onClose = (): void => undefined
  const connection: BoundConnection = {
    close: () => {
      onClose()
    },
    onClose: (listener) => {
      onClose = listener
    },
  }
  connections.push(connection)
  bridge.bind(verdict.context, connection)
}

/* Resolves, when it is called, to the longest time in ms for which no turn of the event loop came. */
function watchLoop(): () => Promise<number> {
  let last = performance.now()
  let longest = 0
  let watching = true
  const turn = (): void => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
    if (watching) setImmediate(turn)
  }
  setImmediate(turn)
  return () =>
    new Promise((resolve) => {
      watching = false
      setImmediate(() => {
        resolve(longest)
      })
    })
}

/** The same LiveStore, whose reads are counted. */
class Counting implements LiveStore {
  readonly #live: LiveStore
  #answered = 0
  #underWay = 0
  #wanted = Infinity
  #onWanted: () => void = () => undefined
  #onQuiet: () => void = () => undefined
  readonly replace
  readonly touch
  readonly destroy
  readonly watch
  readonly unwatch
  readonly onChange
  readonly close

  constructor(live: LiveStore) {
    this.#live = live
    this.replace = live.replace.bind(live)
    this.touch = live.touch.bind(live)
    this.destroy = live.destroy.bind(live)
    this.watch = live.watch.bind(live)
    this.unwatch = live.unwatch.bind(live)
    this.onChange = live.onChange.bind(live)
    this.close = live.close.bind(live)
  }

  async get(sessionID: string, held?: StoredSession): Promise<StoredSession | undefined> {
    this.#underWay += 1
    try {
      return await this.#live.get(sessionID, held)
    } finally {
      this.#underWay -= 1
      this.#answered += 1
      if (this.#answered >= this.#wanted) this.#onWanted()
      if (this.#underWay === 0) this.#onQuiet()
    }
  }

  /** Resolves when so many more have been answered. */
  answered(count: number): Promise<void> {
    this.#wanted = this.#answered + count
    return new Promise((resolve) => (this.#onWanted = resolve))
  }

  /** Resolves when none is under way. */
  quiet(): Promise<void> {
    if (this.#underWay === 0) return Promise.resolve()
    return new Promise((resolve) => (this.#onQuiet = resolve))
  }
}

/** As quick as one can be: what is left is the bridge's own. */
class LiveStoreInMemory implements LiveStore {
  readonly #record: SessionData = JSON.parse(JSON.stringify(newRecord())) as SessionData

  get(_sessionID: string, held?: StoredSession): Promise<StoredSession | undefined> {
    return Promise.resolve(held ?? { record: this.#record, expiresAt: undefined })
  }
  replace(): Promise<'gone'> {
    return Promise.resolve('gone')
  }
  touch(): Promise<'touched'> {
    return Promise.resolve('touched')
  }
  destroy(): Promise<void> {
    return Promise.resolve()
  }
  watch(): void {}
  unwatch(): void {}
  onChange(): void {}
  close(): Promise<void> {
    return Promise.resolve()
  }
}
