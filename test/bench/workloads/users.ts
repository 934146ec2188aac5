/*
 * What it costs to know users: opening, changing and ending connections, with `identify` and without.
 */
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'

import { MemoryStore } from 'express-session'
import { createSessionBridge, type BoundConnection, type SessionBridge } from 'ws-session-bridge'

import type { Workload } from '../bench.js'
import { cpuOfEach, inTurn } from '../rounds.js'
import { cookieOf, destroySession, newRecord, sessionIDOf, sessionOptionsOf, setSession, userOf } from '../sessions.js'

export const users: Workload = {
  name: 'users',
  async run(bench) {
    const count = bench.sized(100_000, 5_000)
    bench.stage(`users, ${count} connections of as many users`)
    const found = await inTurn(
      [
        { name: 'without `identify`', turn: () => cost(count, false) },
        { name: 'with `identify`', turn: () => cost(count, true) },
      ],
      {
        rounds: bench.sized(5, 3),
        warmUp: 1,
        onRound: (round) => {
          bench.progress(`round ${round}`)
        },
      },
    )
    bench.add({
      workload: 'users',
      title: `${count} connections of as many users, in memory`,
      columns: [
        { name: 'CPU µs each', digits: 1 },
        { name: '÷ without', digits: 2 },
      ],
      rows: found.map(({ name, cost: each, ratio }) => ({ name, values: [each, ratio] })),
      aims: [{ what: 'with `identify` ÷ without', atMost: 1.1, got: found[1]?.ratio ?? NaN }],
      note: 'For one connection: authenticated and bound, its session changed to another user, then logged out.',
    })
  },
}

async function cost(count: number, withUsers: boolean): Promise<number> {
  const store = new MemoryStore()
  const bridge = createSessionBridge({
    session: sessionOptionsOf(store),
    ...(withUsers && { identify: ({ user }) => user }),
    revalidateMs: 2 ** 31 - 1,
  })
  for (let index = 0; index < count; index += 1) await setSession(store, index, newRecord({ user: userOf(index) }))
  const each = await cpuOfEach(count, async () => {
    for (let index = 0; index < count; index += 1) await open(bridge, index)
    for (let index = 0; index < count; index += 1) await setSession(store, index, newRecord({ user: `new ${index}` }))
    for (let index = 0; index < count; index += 1) await destroySession(store, index)
  })
  const { sockets, users: left } = bridge.stats()
  if (sockets + left > 0) throw new Error(`${sockets} sockets and ${left} users are left.`)
  await bridge.close()
  return each
}

async function open(bridge: SessionBridge, index: number): Promise<void> {
  const request = new IncomingMessage(new Socket())
  Object.assign(request, { method: 'GET', url: '/', headers: { cookie: cookieOf(index) } })
  const verdict = await bridge.authenticate(request)
  if (!verdict.accepted || verdict.context === undefined) throw new Error(`Session ${sessionIDOf(index)} was refused.`)
  bridge.bind(verdict.context, new Connection())
}

class Connection implements BoundConnection {
  #onClose: (() => void) | undefined

  close(): void {
    this.#onClose?.()
  }

  onClose(listener: () => void): void {
    this.#onClose = listener
  }
}
