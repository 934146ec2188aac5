import { Store, type SessionData } from 'express-session'
import { describe, expect, it } from 'vitest'
import { createSessionBridge, SessionEndedError } from 'ws-session-bridge'
import { record } from '../live/bound.js'
import { createRandom } from '../support/random.js'
import { scaled, seedOf } from '../support/soak.js'

const interleavings = scaled(10_000, 200_000)
const writings = scaled(2_000, 40_000)

type Callback = ((error?: unknown, session?: SessionData | null) => void) | undefined

/**
 * A store that does nothing until it is stepped: a call takes effect, or an answer arrives. Calls take effect in the order
 * they were made, as over one connection; answers arrive in any order.
 */
class SteppedStore extends Store {
  readonly data = new Map<string, string>()
  readonly #calls: (() => void)[] = []
  readonly #answers: (() => void)[] = []

  get busy(): boolean {
    return this.#calls.length + this.#answers.length > 0
  }

  step(random: () => number): void {
    const takesEffect = this.#answers.length === 0 || (this.#calls.length > 0 && random() < 0.5)
    if (takesEffect) this.#calls.shift()?.()
    else this.#answers.splice(Math.floor(random() * this.#answers.length), 1)[0]?.()
  }

  override readonly get = (sessionID: string, callback: Callback): void => {
    this.#call(() => this.data.get(sessionID), callback)
  }

  override readonly set = (sessionID: string, session: SessionData, callback?: Callback): void => {
    const json = JSON.stringify(session)
    this.#call(() => void this.data.set(sessionID, json), callback)
  }

  override readonly touch = (sessionID: string, _session: SessionData, callback?: Callback): void => {
    this.#call(() => void this.data.has(sessionID), callback)
  }

  override readonly destroy = (sessionID: string, callback?: Callback): void => {
    this.#call(() => void this.data.delete(sessionID), callback)
  }

  #call(effect: () => string | undefined, callback: Callback): void {
    this.#calls.push(() => {
      const json = effect()
      this.#answers.push(() => callback?.(null, json === undefined ? null : (JSON.parse(json) as SessionData)))
    })
  }
}

/** One interleaving: writers of all kinds, and a destroy somewhere. Says what went wrong, if anything. */
async function interleave(seed: number): Promise<string | undefined> {
  const { share: random } = createRandom(seed)
  const store = new SteppedStore()
  const bridge = createSessionBridge({ session: { store, secret: 'a secret' }, revalidateMs: 2 ** 31 - 1 })
  store.data.set('id', JSON.stringify(record({ views: 0 })))
  let destroyed = false
  let updates = 0
  const failures: string[] = []
  const running = new Set<Promise<unknown>>()
  const run = (work: Promise<unknown>): void => {
    running.add(work)
    void work.finally(() => running.delete(work))
  }
  const acts = [
    ...Array.from({ length: 6 }, () => () => {
      const before = destroyed
      run(
        bridge
          .update('id', (draft) => void (draft.views = (draft.views ?? 0) + 1))
          .then(
            () => {
              if (before) failures.push('an update after the destroy went through')
              updates += 1
            },
            (error: unknown) => {
              if (!(error instanceof SessionEndedError)) failures.push(String(error))
              if (!destroyed) failures.push('ended before the destroy')
            },
          ),
      )
    }),
    ...Array.from({ length: 2 }, () => () => {
      // As a context.touch() does.
      run(bridge.load('id'))
    }),
  ]
  const destroyAt = Math.floor(random() * 60)
  const byBridge = random() < 0.5
  let steps = 0
  let viewsAtDestroy: number | undefined
  while (acts.length > 0 || store.busy || running.size > 0 || !destroyed) {
    if (!destroyed && (steps >= destroyAt || (acts.length === 0 && !store.busy && running.size === 0))) {
      destroyed = true
      viewsAtDestroy = updates
      if (byBridge) run(bridge.destroy('id'))
      else store.destroy('id')
    } else if (acts.length > 0 && random() < 0.3) {
      acts.splice(Math.floor(random() * acts.length), 1)[0]?.()
    } else {
      store.step(random)
    }
    for (let microtasks = Math.floor(random() * 12); microtasks > 0; microtasks -= 1) await Promise.resolve()
    // Nothing to step, and something still runs: it needs more microtasks.
    if (!store.busy && acts.length === 0) await new Promise(setImmediate)
    steps += 1
    if (steps > 5_000) return `seed ${seed}: it does not come to an end`
  }
  await bridge.close()
  if (store.data.has('id')) failures.push('the session is back')
  if (viewsAtDestroy === undefined) failures.push('nothing was destroyed')
  return failures.length > 0 ? `seed ${seed}: ${failures.join(', ')}` : undefined
}

describe('a destroy in the middle of updates', () => {
  it(`is final in ${interleavings} interleavings`, async () => {
    const first = seedOf('INTERLEAVING_SEED')
    const wrong: string[] = []
    for (let seed = first; seed < first + interleavings; seed += 1) {
      const failure = await interleave(seed)
      if (failure !== undefined) wrong.push(failure)
    }
    expect(wrong.slice(0, 5)).toEqual([])
  })
})

describe('writers of the same process that call the store themselves', () => {
  it(`are never overwritten by an update that has not seen what they wrote, in ${writings} interleavings`, async () => {
    const first = seedOf('INTERLEAVING_SEED')
    for (let seed = first; seed < first + writings; seed += 1) {
      const { share: random } = createRandom(seed)
      const store = new SteppedStore()
      const bridge = createSessionBridge({ session: { store, secret: 'a secret' }, revalidateMs: 2 ** 31 - 1 })
      store.data.set('id', JSON.stringify(record({ views: 0 })))
      const increment = (): Promise<unknown> =>
        bridge.update('id', (draft) => void (draft.views = (draft.views ?? 0) + 1))
      let running = 5
      const updates = Promise.all(Array.from({ length: 5 }, () => increment().finally(() => (running -= 1))))
      let role = 0
      while (running > 0 || store.busy) {
        if (role < 3 && random() < 0.2) {
          role += 1
          store.set('id', record({ role: String(role), views: 0 }))
        }
        store.step(random)
        for (let microtasks = Math.floor(random() * 12); microtasks > 0; microtasks -= 1) await Promise.resolve()
        if (!store.busy) await new Promise(setImmediate)
      }
      await updates
      const left = JSON.parse(store.data.get('id')!) as SessionData
      expect([seed, left.role]).toEqual([seed, role === 0 ? undefined : String(role)])
      if (role === 0) expect([seed, left.views]).toEqual([seed, 5])
      await bridge.close()
    }
  })
})
