import { Store, type SessionData } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import { createRandom } from '../support/random.js'
import { scaled, seedOf } from '../support/soak.js'
import { record, rest, startBridge, stopClocks, type Bound } from '../live/bound.js'
import { TtlStore } from '../live/ttl-store.js'

const runs = scaled(6, 600)
const jumpsInARun = 12
const sessions = 20
const minuteMs = 60_000

/** A store on another machine, whose clock is never set. It keeps time as Redis does: by how long a session is to last. */
class RemoteStore extends Store {
  readonly data = new Map<string, { json: string; until: number }>()

  has(sessionID: string): boolean {
    return (this.data.get(sessionID)?.until ?? -Infinity) > performance.now()
  }

  override get(sessionID: string, callback: (error: unknown, session?: SessionData | null) => void): void {
    const json = this.has(sessionID) ? this.data.get(sessionID)!.json : undefined
    setImmediate(callback, null, json === undefined ? null : (JSON.parse(json) as SessionData))
  }

  override set(sessionID: string, session: SessionData, callback?: () => void): void {
    this.data.set(sessionID, { json: JSON.stringify(session), until: performance.now() + leftOf(session) })
    if (callback) setImmediate(callback)
  }

  override touch(sessionID: string, session: SessionData, callback?: () => void): void {
    if (this.has(sessionID)) this.data.get(sessionID)!.until = performance.now() + leftOf(session)
    if (callback) setImmediate(callback)
  }

  override destroy(sessionID: string, callback?: () => void): void {
    this.data.delete(sessionID)
    if (callback) setImmediate(callback)
  }
}

function leftOf({ cookie }: SessionData): number {
  const { expires } = cookie as { expires?: Date | string | null }
  return expires ? new Date(expires).valueOf() - Date.now() : Infinity
}

/** Up to some hours forward or back, now and then only by seconds, as an operator or NTP sets a clock, or a machine sleeps. */
function jump(random: ReturnType<typeof createRandom>): void {
  const by = random.one([10_000, minuteMs, 60 * minuteMs, 600 * minuteMs]) * (2 * random.share() - 1)
  vi.setSystemTime(Date.now() + by)
}

/** A connection each to so many sessions. */
async function bindAll(
  store: Store,
  bind: (sessionID: string) => Promise<Bound>,
  maxAge: () => number,
): Promise<Bound[]> {
  const ids = Array.from({ length: sessions }, (_, index) => `id ${index}`)
  for (const id of ids) store.set(id, record({}, maxAge()))
  return await Promise.all(ids.map((id) => bind(id)))
}

const hasEnded = ({ context }: Bound) => context.ended !== undefined

describe(`a clock that is set forward and back, ${runs} times ${jumpsInARun}`, () => {
  it('neither ends a session that a store on this clock still has, nor keeps one for more than a minute', async () => {
    const pass = stopClocks()
    const random = createRandom(seedOf('CLOCK_SEED'))
    for (let run = 0; run < runs; run += 1) {
      const store = new TtlStore()
      // Nothing but the expiries themselves makes the bridge look.
      const { bridge, bind } = startBridge({ store, revalidateMs: 2 ** 31 - 1, keepAlive: 'never' })
      const bound = await bindAll(store, bind, () => 1_000 + random.below(4 * 60 * minuteMs))
      for (let jumps = 0; jumps < jumpsInARun; jumps += 1) {
        await pass(random.below(20_000))
        const before = bound.filter(hasEnded).length
        jump(random)
        await rest()
        await pass(minuteMs)
        const left = bound.filter((one) => !hasEnded(one)).map(({ context }) => context.sessionID)
        expect(left).toEqual([...store.data.keys()].filter((id) => store.data.get(id)!.expiresAt > Date.now()))
        expect(bound.filter(hasEnded).length).toBeGreaterThanOrEqual(before)
      }
      await bridge.close()
    }
  })

  it('does not keep the bridge from keeping sessions alive in a store on another clock', async () => {
    const pass = stopClocks()
    const random = createRandom(seedOf('CLOCK_SEED'))
    for (let run = 0; run < runs; run += 1) {
      const store = new RemoteStore()
      const { bridge, bind } = startBridge({ store, revalidateMs: 2 ** 31 - 1, keepAlive: 'connected' })
      const bound = await bindAll(store, bind, () => 5 * minuteMs)
      for (let jumps = 0; jumps < jumpsInARun; jumps += 1) {
        jump(random)
        await pass(minuteMs + random.below(3 * minuteMs))
        expect([run, jumps, bound.filter(hasEnded).length]).toEqual([run, jumps, 0])
      }
      await bridge.close()
    }
  })

  it('does not keep a session that a store on another clock has no more for longer than the time of revalidation', async () => {
    const pass = stopClocks()
    const random = createRandom(seedOf('CLOCK_SEED'))
    for (let run = 0; run < runs; run += 1) {
      const store = new RemoteStore()
      const { bridge, bind } = startBridge({ store, revalidateMs: 30_000, keepAlive: 'never' })
      const bound = await bindAll(store, bind, () => minuteMs + random.below(20 * minuteMs))
      for (let jumps = 0; jumps < jumpsInARun; jumps += 1) {
        jump(random)
        await pass(random.below(minuteMs))
        const gone = bound.filter(({ context }) => !store.has(context.sessionID))
        const there = bound.filter(({ context }) => store.has(context.sessionID))
        expect(there.filter(hasEnded)).toEqual([])
        await pass(35_000)
        expect(gone.filter((one) => !hasEnded(one))).toEqual([])
      }
      await bridge.close()
    }
  })

  it('gives a store that fails no more time than `unverifiedMs`', async () => {
    const pass = stopClocks()
    const random = createRandom(seedOf('CLOCK_SEED'))
    for (let run = 0; run < runs; run += 1) {
      const store = new TtlStore()
      const { bridge, bind } = startBridge({ store, revalidateMs: 2 ** 31 - 1, unverifiedMs: minuteMs })
      store.set('id', record())
      const { context } = await bind('id')
      Object.assign(store, { get: (_id: string, callback: (error: unknown) => void) => callback(new Error('away')) })
      bridge.check()
      await rest()
      for (let passed = 0; passed < 50; passed += 10) {
        jump(random)
        await pass(10_000, 1_000)
        expect([run, context.ended]).toEqual([run, undefined])
      }
      await pass(20_000, 1_000)
      expect([run, context.ended?.reason]).toEqual([run, 'unverified'])
      await bridge.close()
    }
  })
})
