import { describe, expect, it } from 'vitest'
import { StoreUnavailableError, type LiveStore } from 'ws-session-bridge'
import { record, rest, startBridge, stopClocks } from './bound.js'
import { bindFound, bindLoaded, ByHandLiveStore, stored } from './by-hand-live-store.js'
import { endOf } from './connected.js'

const failed = new Error('it does not listen')

// TypeScript takes an async function for one that returns nothing.
// eslint-disable-next-line @typescript-eslint/no-misused-promises -- the misuse is what is tested
const rejects: LiveStore['watch'] = () => Promise.reject(failed)

const throws: LiveStore['unwatch'] = () => {
  throw failed
}

describe('a LiveStore of an app’s own', () => {
  it.each([
    ['watch', 'returns a promise that rejects', rejects],
    ['unwatch', 'returns a promise that rejects', rejects],
    ['unwatch', 'throws', throws],
  ])('whose %s %s tells a fault by it, and connections come and go all the same', async (method, _how, fail) => {
    const live = Object.assign(new ByHandLiveStore(), { [method]: fail })
    const { bridge, bind, faults } = startBridge({ live })
    const { context, connection } = await bindLoaded({ bind }, live, stored(record()))
    connection.disappear()
    expect(await endOf(context)).toMatchObject({ reason: 'closed' })
    await rest()
    expect(faults).toEqual([failed])
    await bridge.close()
    expect(bridge.stats()).toMatchObject({ sockets: 0, sessions: 0, faults: 1 })
  })
})

describe('an answer of a LiveStore that its contract does not have', () => {
  const session = stored(record({ user: 'ada' }))
  const secret = 'never to be shown'
  const unavailable = (message: RegExp) => ({
    code: 'STORE_UNAVAILABLE',
    message: expect.stringMatching(message) as string,
  })
  const answering = (method: keyof LiveStore, answer: unknown) =>
    Object.assign(new ByHandLiveStore(), { [method]: () => answer })

  const wrongReads: [string, unknown, RegExp][] = [
    ['no promise', undefined, /^LiveStore: `get` returned undefined\. It must return a promise of \{ record/],
    ['null', Promise.resolve(null), /`get` resolved to null\./],
    ['a string', Promise.resolve(secret), /`get` resolved to a string\./],
    ['an array', Promise.resolve([session]), /`get` resolved to an array\./],
    ['the record itself', Promise.resolve(session.record), /`get` resolved to an object\./],
    ['a record without a date', Promise.resolve({ ...session, expiresAt: null }), /`get` resolved to an object\./],
    ['a record with no date', Promise.resolve({ ...session, expiresAt: NaN }), /`get` resolved to an object\./],
  ]

  it.each(wrongReads)('refuses a handshake as store-failed where a read gives %s', async (_what, answer, message) => {
    const { bridge, authenticate, faults } = startBridge({ live: answering('get', answer) })
    const refusals: unknown[] = []
    bridge.on('refuse', (refusal) => refusals.push(refusal))
    await expect(authenticate('id')).rejects.toThrow('store-failed')
    expect(refusals).toMatchObject([{ reason: 'store-failed', status: 503, error: unavailable(message) }])
    await expect(bridge.load('id')).rejects.toMatchObject(unavailable(message))
    await expect(bridge.update('id', () => undefined)).rejects.toMatchObject(unavailable(message))
    expect(faults).toEqual([])
  })

  it.each(wrongReads)(
    'is a fault once where a check gets %s, and a check that failed',
    async (_what, answer, message) => {
      const pass = stopClocks()
      const live = new ByHandLiveStore()
      const { bind, faults } = startBridge({ live, unverifiedMs: 10_000 })
      const { context } = await bindFound({ bind }, live, session)
      Object.assign(live, { get: () => answer })
      live.report('id')
      await rest()
      await pass(9_000)
      expect(faults).toMatchObject([unavailable(message)])
      expect(context.ended).toBeUndefined()
      await pass(2_000)
      expect(context.ended?.reason).toBe('unverified')
    },
  )

  it.each<[string, unknown, RegExp]>([
    ['no promise', undefined, /`touch` returned undefined\. It must return a promise of 'touched' or 'gone'\./],
    ['nothing', Promise.resolve(), /`touch` resolved to undefined\./],
    ['null', Promise.resolve(null), /`touch` resolved to null\./],
    ['true', Promise.resolve(true), /`touch` resolved to a boolean\./],
    ['another text', Promise.resolve(secret), /`touch` resolved to a string\./],
    ['an object', Promise.resolve({ touched: undefined }), /`touch` resolved to an object\./],
  ])('is a touch that failed where it is %s', async (_what, answer, message) => {
    const live = answering('touch', answer)
    const { bind, faults } = startBridge({ live })
    const { context, connection } = await bindFound({ bind }, live, session)
    connection.message()
    await rest()
    expect(faults).toMatchObject([unavailable(message)])
    expect(String(faults[0])).not.toContain(secret)
    expect(live.gets).toHaveLength(1)
    await expect(context.touch()).rejects.toMatchObject(unavailable(message))
    expect(context.ended).toBeUndefined()
  })

  it.each<[string, unknown, RegExp]>([
    ['no promise', 'gone', /`replace` returned a string\. It must return a promise of \{ replaced \}/],
    ['nothing', Promise.resolve(), /`replace` resolved to undefined\./],
    ['a text', Promise.resolve(secret), /`replace` resolved to a string\./],
    ['the session itself', Promise.resolve(session), /`replace` resolved to an object\./],
    ['replaced by nothing', Promise.resolve({ replaced: undefined }), /`replace` resolved to an object\./],
    ['changed to nothing', Promise.resolve({ changed: null }), /`replace` resolved to an object\./],
  ])('is an update that failed where it is %s', async (_what, answer, message) => {
    const live = answering('replace', answer)
    const { bind, faults } = startBridge({ live })
    const { context } = await bindFound({ bind }, live, session)
    await expect(context.update((draft) => void (draft.user = 'grace'))).rejects.toMatchObject(unavailable(message))
    expect(context.session.user).toBe('ada')
    expect(context.ended).toBeUndefined()
    expect(faults).toEqual([])
  })

  it('is a logout that failed where destroy returns no promise', async () => {
    const live = answering('destroy', undefined)
    const { bind } = startBridge({ live })
    const { context } = await bindFound({ bind }, live, session)
    const error = await context.destroy().catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(StoreUnavailableError)
    expect(error).toMatchObject(unavailable(/`destroy` returned undefined\./))
    expect(context.ended).toBeUndefined()
  })

  it.each(['onChange', 'onFault'])('is a fault where %s returns a promise that rejects', async (method) => {
    const { faults } = startBridge({ live: Object.assign(new ByHandLiveStore(), { [method]: rejects }) })
    await rest()
    expect(faults).toEqual([failed])
  })
})
