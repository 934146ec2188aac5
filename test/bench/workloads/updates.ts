/*
 * Writing sessions from a socket: many writers on one session, and on a thousand.
 */
import { MemoryStore, type SessionData, type Store } from 'express-session'
import { createSessionBridge, type LiveStore } from 'ws-session-bridge'
import { redisLiveStore } from 'ws-session-bridge/redis'

import type { Bench, Workload } from '../bench.js'
import { openRedisStore } from '../redis-store.js'
import { atOnce } from '../rounds.js'
import { fill, sessionIDOf, sessionOptionsOf, setSession } from '../sessions.js'
import type { Row } from '../table.js'

const writers = 50
const many = 1_000

interface Candidate {
  readonly name: string
  readonly increment: (index: number) => Promise<unknown>
  readonly store: Store
}

export const updates: Workload = {
  name: 'updates',
  async run(bench) {
    const redis = await openRedisStore(await bench.redisUrl())
    const live = redisLiveStore(redis.store)
    const inMemory = new MemoryStore()
    const candidates: Candidate[] = [
      { name: 'get and set, in memory', store: inMemory, increment: byHand(inMemory) },
      { name: 'bridge.update, in memory', store: inMemory, increment: byBridge(inMemory) },
      { name: 'get and set, on Redis', store: redis.store, increment: byHand(redis.store) },
      { name: 'bridge.update, on Redis', store: redis.store, increment: byBridge(redis.store, live) },
    ]
    const rows: Row[] = []
    for (const sessions of [1, many]) {
      for (const candidate of candidates) rows.push(await measure(bench, candidate, sessions))
    }
    await live.close()
    await redis.close()
    bench.add({
      workload: 'updates',
      title: `atomic updates: ${writers} writers, each adding 1`,
      columns: [
        { name: 'a second', digits: 0 },
        { name: 'CPU µs', digits: 1 },
        { name: 'survive, %', digits: 1 },
      ],
      rows,
      note: 'The writers of `get and set` are what a handler with a `session.save()` does.',
    })
  },
}

async function measure(bench: Bench, { name, store, increment }: Candidate, sessions: number): Promise<Row> {
  const title = `${name}, ${sessions === 1 ? 'one session' : `${sessions} sessions`}`
  bench.stage(`updates, ${title}`)
  const count = bench.sized(10_000, 1_000)
  await fill(store, sessions)
  // Code that runs for the first time is slow.
  await atOnce(writers, count / 5, (index) => increment(index % sessions))
  await fill(store, sessions)
  const begun = performance.now()
  const before = process.cpuUsage()
  await atOnce(writers, count, (index) => increment(index % sessions))
  const { user, system } = process.cpuUsage(before)
  const seconds = (performance.now() - begun) / 1_000
  let survived = 0
  for (let index = 0; index < sessions; index += 1) survived += (await read(store, index)).count ?? 0
  return { name: title, values: [count / seconds, (user + system) / count, (survived / count) * 100] }
}

function byHand(store: Store): (index: number) => Promise<unknown> {
  return async (index) => {
    const record = await read(store, index)
    record.count = (record.count ?? 0) + 1
    await setSession(store, index, record)
  }
}

function byBridge(store: Store, live?: LiveStore): (index: number) => Promise<unknown> {
  const bridge = createSessionBridge({ session: sessionOptionsOf(store), live })
  return (index) =>
    bridge.update(sessionIDOf(index), (draft) => {
      draft.count = (draft.count ?? 0) + 1
    })
}

function read(store: Store, index: number): Promise<SessionData> {
  return new Promise((resolve, reject) => {
    store.get(sessionIDOf(index), (error: unknown, record) => {
      if (record) resolve(record)
      else reject(new Error('A session is gone.', { cause: error }))
    })
  })
}
