import { MemoryStore, Store, type SessionData } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import { observeStoreCalls } from '../../src/store/store-calls.js'
import { done, record, rest, startBridge, until } from '../live/bound.js'

type Method = 'set' | 'touch' | 'destroy' | 'clear'
const methods: readonly Method[] = ['set', 'touch', 'destroy', 'clear']

type SetArguments = [sessionID: string, session: SessionData, callback?: (error?: unknown) => void]

function thrower(): never {
  throw new Error('away')
}

/** A store, and what its calls told. */
function hear<S extends Store>(store: S) {
  const told: (string | undefined)[] = []
  const stop = observeStoreCalls(store, ({ sessionID }) => told.push(sessionID))
  return { store, told, stop }
}

describe('the observed calls to a store', () => {
  it('are told right after the call, and again at the answer', async () => {
    const { store, told } = hear(new MemoryStore())
    const answered = done((callback) => store.set('id', record(), callback))
    expect(told).toEqual(['id'])
    await answered
    expect(told).toEqual(['id', 'id'])
  })

  it('are told with the session that was given to set or touch', () => {
    const store = new MemoryStore()
    const told: unknown[] = []
    observeStoreCalls(store, ({ sessionID, written }) => told.push([sessionID, written]))
    const session = record({ user: 'ada' })
    store.set('id', session)
    store.touch('id', session)
    store.destroy('id')
    store.clear()
    expect(told).toEqual([
      ['id', session],
      ['id', session],
      ['id', undefined],
      [undefined, undefined],
    ])
  })

  it.each<[string, (...args: SetArguments) => unknown]>([
    ['calls back with it', (_id, _session, callback) => setImmediate(callback!, 'away')],
    ['throws it', thrower],
    ['rejects with it', () => Promise.reject(new Error('away'))],
    [
      'calls back with it and resolves all the same, as connect-redis does',
      async (_id, _session, callback) => callback?.('away'),
    ],
  ])('are told to have failed where the store %s', async (_how, set) => {
    const store = Object.assign(new MemoryStore(), { set })
    const told: boolean[] = []
    observeStoreCalls(store, ({ isAnswered, hasFailed }) => told.push(isAnswered && hasFailed))
    try {
      await (store as { set: (...args: SetArguments) => unknown }).set('id', record(), () => undefined)
    } catch {
      // Whoever has called it is told as well.
    }
    await rest()
    expect(told.at(-1)).toBe(true)
  })

  it('are told with the expiry of the session as it was at the call', () => {
    const store = new MemoryStore()
    const told: unknown[] = []
    observeStoreCalls(store, ({ method, expiresAt }) => told.push([method, expiresAt]))
    const expiresAt = Date.now() + 60_000
    const withCookie = (cookie: unknown) => ({ cookie }) as SessionData
    store.set('id', withCookie({ expires: new Date(expiresAt).toISOString() }))
    store.touch('id', withCookie({ expires: new Date(expiresAt) }))
    store.touch('id', withCookie({ expires: 'never' }))
    store.touch('unknown', withCookie(new Proxy({}, { get: thrower })))
    store.destroy('id')
    expect(told).toEqual([
      ['set', expiresAt],
      ['touch', expiresAt],
      ['touch', undefined],
      ['touch', undefined],
      ['destroy', undefined],
    ])
  })

  it('are answered by the first answer, and once: not by a promise that resolves before the callback', async () => {
    let callback: ((error?: unknown) => void) | undefined
    const destroy = (_id: string, given: typeof callback): Promise<void> => {
      callback = given
      return Promise.resolve()
    }
    const store = Object.assign(new MemoryStore(), { destroy })
    const told: boolean[] = []
    observeStoreCalls(store, ({ isAnswered, hasFailed }) => told.push(isAnswered && !hasFailed))
    store.destroy('id', () => undefined)
    await rest()
    expect(told).toEqual([false])
    callback?.()
    callback?.(new Error('thrown by the callback'))
    expect(told).toEqual([false, true])
  })

  it('reach the store and their callback although a listener throws, which becomes a process warning', async () => {
    const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const store = new MemoryStore()
    observeStoreCalls(store, () => {
      throw new Error('id is in this message')
    })
    await done((callback) => store.set('id', record(), callback))
    expect(Reflect.get(store, 'sessions')).toHaveProperty('id')
    expect(warnings.mock.calls.map(([message]) => message)).toEqual([
      "A listener of a session store's calls threw (Error).",
      "A listener of a session store's calls threw (Error).",
    ])
  })

  it('keep their `this`, arguments, answer and result', () => {
    class Odd extends Store {
      readonly calls: unknown[] = []
      override get = (): void => undefined
      override set(...args: unknown[]): void {
        this.calls.push(...args.slice(0, -1))
        ;(args.at(-1) as (...answer: unknown[]) => void).call('this of the callback', 'error', 2, 3)
        return 'a result' as never
      }
      override destroy(): void {
        throw new RangeError('thrown')
      }
    }
    const { store, told } = hear(new Odd())
    const answers: unknown[] = []
    const set: (...args: unknown[]) => unknown = store.set.bind(store)
    const returned = set('id', 'extra', function (this: unknown, ...answer: unknown[]) {
      answers.push(this, ...answer)
    })
    expect(returned).toBe('a result')
    expect(store.calls).toEqual(['id', 'extra'])
    expect(answers).toEqual(['this of the callback', 'error', 2, 3])
    expect(() => {
      store.destroy()
    }).toThrow(RangeError)
    // The first was answered before it returned, and is told once.
    expect(told).toEqual(['id', undefined])
  })

  it('are told once more when the promise that they returned settles, fulfilled or rejected', async () => {
    class Promising extends Store {
      override get = (): void => undefined
      override set = (): void => Promise.resolve() as never
      override destroy = (): void => Promise.reject(new Error('down')) as never
    }
    const { store, told } = hear(new Promising())
    await (Reflect.apply(store.set, store, ['id', record()]) as unknown as Promise<void>)
    await rest(1)
    expect(told).toEqual(['id', 'id'])
    await expect(Reflect.apply(store.destroy, store, ['id']) as unknown as Promise<void>).rejects.toThrow('down')
    await rest(1)
    expect(told).toEqual(['id', 'id', 'id', 'id'])
  })

  it('are told as calls to any session if the ID is no string', () => {
    const { store, told } = hear(new MemoryStore())
    store.destroy(5 as never)
    expect(told).toEqual([undefined])
  })

  it('are passed on without a callback if the caller gave none', () => {
    const store = new MemoryStore()
    const set = vi.spyOn(store, 'set')
    hear(store)
    store.set('id', record())
    expect(set.mock.calls[0]).toHaveLength(2)
  })

  it('add no method that the store does not have', () => {
    class Bare extends Store {
      override get = (): void => undefined
      override set = (): void => undefined
      override destroy = (): void => undefined
    }
    const { store } = hear(new Bare())
    expect('touch' in store).toBe(false)
    expect('clear' in store).toBe(false)
  })
})

describe('the wrapped methods of a store', () => {
  it('are not enumerable, and are removed with the last listener', () => {
    const store = new MemoryStore()
    const names = Object.keys(store)
    const { stop } = hear(store)
    expect(Object.keys(store)).toEqual(names)
    for (const method of methods) expect(store[method]).not.toBe(MemoryStore.prototype[method])
    stop()
    for (const method of methods) {
      expect(Object.hasOwn(store, method)).toBe(false)
      expect(store[method]).toBe(MemoryStore.prototype[method])
    }
  })

  it('give the store its own property back as it was', () => {
    const store = new MemoryStore()
    const own = vi.fn()
    Object.defineProperty(store, 'set', { value: own, enumerable: true, configurable: true, writable: false })
    const before = Object.getOwnPropertyDescriptor(store, 'set')
    const { stop } = hear(store)
    store.set('id', record())
    expect(own).toHaveBeenCalledTimes(1)
    stop()
    expect(Object.getOwnPropertyDescriptor(store, 'set')).toEqual(before)
  })

  it.each([
    ['in the order they came', [0, 1, 2]],
    ['in the opposite order', [2, 1, 0]],
    ['in any order', [1, 2, 0]],
  ])('tell every listener, and are removed with the last one, if the listeners leave %s', (_order, order) => {
    const store = new MemoryStore()
    const heard = [hear(store), hear(store), hear(store)]
    for (const [done, index] of order.entries()) {
      store.set('id', record())
      const told = heard.map((each) => each.told.length)
      // Those that have stopped have heard no more.
      expect(told).toEqual(heard.map((_, each) => Math.min(order.indexOf(each), done) + 1))
      heard[index]!.stop()
      heard[index]!.stop()
    }
    store.set('id', record())
    expect(heard.map(({ told }) => told.length).sort()).toEqual([1, 2, 3])
    expect(Object.hasOwn(store, 'set')).toBe(false)
  })

  it('leave a wrapper of the app in place, and tell no listener after the undo', () => {
    const { store, told, stop } = hear(new MemoryStore())
    const inner = store.set
    const wrapper = vi.fn(function (this: MemoryStore, ...args: Parameters<MemoryStore['set']>) {
      inner.apply(this, args)
    })
    store.set = wrapper
    stop()
    expect(store.set).toBe(wrapper)
    store.set('id', record())
    expect(wrapper).toHaveBeenCalledTimes(1)
    expect(told).toEqual([])
    expect(Reflect.get(store, 'sessions')).toHaveProperty('id')
  })

  it('work under such a wrapper for the next listener', () => {
    const { store, stop } = hear(new MemoryStore())
    const inner = store.set
    store.set = function (...args) {
      inner.apply(this, args)
    }
    stop()
    const again = hear(store)
    store.set('id', record())
    expect(again.told.length).toBeGreaterThanOrEqual(1)
    again.stop()
    store.set('id', record())
    expect(again.told.every((sessionID) => sessionID === 'id')).toBe(true)
  })

  it('still tell a bridge of calls when another bridge on the store has closed', async () => {
    const store = new MemoryStore()
    const [first, second] = [startBridge({ store }), startBridge({ store })]
    store.set('id', record({ user: 'ada' }))
    const { context } = await second.bind('id')
    await first.bridge.close()
    store.set('id', record({ user: 'grace' }))
    await until(() => context.session.user === 'grace')
    await second.bridge.close()
    expect(Object.hasOwn(store, 'set')).toBe(false)
  })

  it('leave express-session’s own session methods working', async () => {
    const { store } = hear(new MemoryStore())
    const request = { sessionID: 'id', sessionStore: store } as never
    const session = store.createSession(request, record({ user: 'ada' }))
    await done((callback) => session.save(callback))
    const loaded = await new Promise<SessionData | null | undefined>((resolve) => {
      store.get('id', (_error, found) => resolve(found))
    })
    expect(loaded).toMatchObject({ user: 'ada' })
  })
})
