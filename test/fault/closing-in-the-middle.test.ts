import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { Cookie, MemoryStore, type SessionData } from 'express-session'
import { describe, expect, it } from 'vitest'
import { SessionEndedError, StoreUnavailableError } from 'ws-session-bridge'
import { startOnRedis } from '../redis/app-on-redis.js'
import { startApp, type App } from '../support/app.js'
import { createRandom, type Random } from '../support/random.js'
import { rawRequest, upgradeRequest, type RawRequest } from '../support/raw-request.js'
import { startRedisServer } from '../support/redis.js'
import { scaled, seedOf } from '../support/soak.js'
import { until } from '../live/bound.js'
import { closeFrame, textFrame } from '../upgrade/raw-socket.js'
import { connectionsOf, expectClosed, heapTolerance, leastHeapUsed } from './left-behind.js'
import { watchTimeouts } from './open-timeouts.js'

const rounds = scaled(20, 500)
const sessions = 5

/** Answers after a few turns, or in one of fifty cases never. */
class SlowStore extends MemoryStore {
  constructor(readonly random: Random) {
    super()
  }

  override readonly get = (sessionID: string, callback: (error: unknown, session?: SessionData | null) => void) => {
    if (this.random.share() < 0.02) return
    let left = this.random.below(30)
    const answer = async () => {
      for (; left > 0; left -= 1) await turn()
      super.get(sessionID, callback)
    }
    void answer()
  }
}

interface Middle {
  readonly clients: RawRequest[]
  /** What they resolve to, or fail with. */
  readonly calls: Promise<unknown>[]
}

/** All that can be under way at once: each act begins something and waits for nothing. */
function acts(app: App, random: Random, { clients, calls }: Middle): (() => unknown)[] {
  const { bridge, port, store } = app
  const anyID = () => `id ${random.below(sessions)}`
  const cookie = () => bridge.signedCookie(anyID())
  const upgrade = (isSlow = false, bytes = upgradeRequest({ cookie: cookie() })) => {
    const client = rawRequest(port, bytes + textFrame('hello'), { allowHalfOpen: isSlow })
    clients.push(client)
    if (isSlow) return
    client.socket.on('data', (text: string) => {
      if (text.includes('\x88')) client.socket.write(closeFrame, 'latin1')
    })
  }
  const anyone = () => (clients.length === 0 ? undefined : random.one(clients).socket)
  const call = (work: Promise<unknown>) => calls.push(work.catch((error: unknown) => error))
  return [
    () => upgrade(),
    () => upgrade(),
    () => upgrade(),
    // Answers no close frame.
    () => random.share() < 0.05 && upgrade(true),
    () => upgrade(false, upgradeRequest({ cookie: cookie().replace('s%3A', 's%3Ax') })),
    () => upgrade(false, upgradeRequest({ cookie: cookie(), path: '/nowhere' })),
    () => anyone()?.resetAndDestroy(),
    () => anyone()?.end(),
    () => call(bridge.update(anyID(), (draft) => void (draft.views = (draft.views ?? 0) + 1))),
    () => call(bridge.load(anyID())),
    () => random.share() < 0.2 && call(bridge.destroy(anyID())),
    () => store.set(anyID(), { cookie: new Cookie(), user: 'ada' }),
    () => bridge.check(),
    () => bridge.disconnect(anyID()),
  ]
}

/** Begins things for some turns of the event loop, closes the bridge in the middle, and goes on for some more. */
async function closeInTheMiddle(app: App, random: Random): Promise<number> {
  const middle: Middle = { clients: [], calls: [] }
  const all = acts(app, random, middle)
  const closesAt = random.below(60)
  let closed: Promise<void> | undefined
  const begun = performance.now()
  for (let step = 0; step < closesAt + 10; step += 1) {
    if (step === closesAt) closed = app.bridge.close()
    else random.one(all)()
    for (let turns = random.below(4); turns > 0; turns -= 1) await turn()
  }
  await closed
  const ms = performance.now() - begun
  // Every call has an answer by now, and one of the two errors that a caller can tell apart.
  for (const answer of await Promise.all(middle.calls)) {
    if (!(answer instanceof Error)) continue
    expect(answer instanceof StoreUnavailableError || answer instanceof SessionEndedError, String(answer)).toBe(true)
  }
  const { accepted, ended } = app.bridge.stats()
  expect(Object.values(ended).reduce((sum, count) => sum + count, 0)).toBe(accepted)
  // Nothing that the bridge has had holds the server up.
  const gone = once(app.server, 'close')
  app.server.close()
  for (const { socket } of middle.clients) if (!socket.closed && socket.bytesRead === 0) socket.destroy()
  await until(() => app.wss.clients.size === 0)
  for (const { socket } of middle.clients) socket.destroy()
  await gone
  expect(await connectionsOf(app.server)).toBe(0)
  return ms
}

const authorize = async () => {
  await turn()
  return true
}
const onConnection = (ws: { on(event: 'message', listener: () => void): unknown; send(data: string): void }) => {
  ws.on('message', () => ws.send('hello'))
}

describe('bridge.close() in the middle of everything', () => {
  it(`ends all of it and leaves nothing behind, ${rounds} times`, async () => {
    const random = createRandom(seedOf('CLOSE_SEED'))
    let longest = 0
    const timers = watchTimeouts()
    const roundOf = async () => {
      const app = await startApp({
        store: new SlowStore(random),
        bridge: { authorize, handshakeTimeoutMs: 200, refuseWith: random.one(['status', 'close']) },
        onConnection,
      })
      for (let index = 0; index < sessions; index += 1) {
        app.store.set(`id ${index}`, { cookie: new Cookie(), user: 'ada' })
      }
      longest = Math.max(longest, await closeInTheMiddle(app, random))
      expectClosed(app.bridge, app, timers)
      await app.stop()
    }
    // As many to be warm: apps by the hundred keep the engine compiling.
    for (let round = 0; round < rounds; round += 1) await roundOf()
    const before = await leastHeapUsed()
    for (let round = 0; round < rounds; round += 1) await roundOf()
    const growth = (await leastHeapUsed()) - before
    console.log(
      `${rounds} rounds: closed within ${longest.toFixed(0)} ms, heap ${(growth / 2 ** 20).toFixed(2)} MiB more`,
    )
    expect(longest).toBeLessThan(10_000)
    expect(growth).toBeLessThan(heapTolerance)
  })

  it(`on Redis, too, where no connection and no tracked key is left, ${scaled(5, 100)} times`, async () => {
    const random = createRandom(seedOf('CLOSE_SEED'))
    const { url } = await startRedisServer()
    for (let round = 0; round < scaled(5, 100); round += 1) {
      const app = await startOnRedis({ url, bridge: { authorize }, onConnection })
      for (let index = 0; index < sessions; index += 1) await app.put(`id ${index}`, { user: 'ada' })
      const connections = async () =>
        (await app.client.sendCommand<string>(['CLIENT', 'LIST'])).trim().split('\n').length
      await closeInTheMiddle(app, random)
      // The app's own client stays, that of each round before, too.
      await expect.poll(connections).toBe(round + 1)
    }
  })
})
