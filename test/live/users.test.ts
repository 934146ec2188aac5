import { MemoryStore } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import { createSessionBridge, type SessionSnapshot } from 'ws-session-bridge'
import { createTestBridge } from 'ws-session-bridge/testing'
import { startApp } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { open } from '../support/client.js'
import { createGate } from '../support/gate.js'
import { done, PlainConnection, record, startBridge, until } from './bound.js'
import { TtlStore } from './ttl-store.js'

const identify = ({ user }: SessionSnapshot): string | undefined => user

async function startWithUsers(options: Parameters<typeof startBridge>[0] = {}) {
  const app = startBridge({ identify, ...options })
  const logIn = (sessionID: string, user?: string) =>
    done((callback) => app.store.set(sessionID, record(user === undefined ? {} : { user }), callback))
  return { ...app, logIn }
}

describe('users', () => {
  it('are found by their ID, with the connections of all of their sessions', async () => {
    const { bridge, bind, logIn } = await startWithUsers()
    await logIn('phone', 'ada')
    await logIn('laptop', 'ada')
    await logIn('other', 'grace')
    await logIn('visitor')
    const ada = [await bind('phone'), await bind('laptop'), await bind('laptop')]
    await bind('other')
    const visitor = await bind('visitor')

    const contexts = [...bridge.connections({ user: 'ada' })]
    expect(new Set(contexts)).toEqual(new Set(ada.map(({ context }) => context)))
    expect(contexts.map(({ user }) => user)).toEqual(['ada', 'ada', 'ada'])
    expect(visitor.context.user).toBeUndefined()
    expect([...bridge.connections({ user: 'eve' })]).toEqual([])
    expect([...bridge.connections('laptop')]).toHaveLength(2)
    expect([...bridge.connections()]).toHaveLength(5)
    expect(bridge.stats()).toMatchObject({ sockets: 5, sessions: 4, users: 2 })
  })

  it('are disconnected with all of their sessions, and with no other user', async () => {
    const { bridge, bind, logIn } = await startWithUsers()
    await logIn('phone', 'ada')
    await logIn('laptop', 'ada')
    await logIn('other', 'grace')
    const [phone, laptop, other] = [await bind('phone'), await bind('laptop'), await bind('other')]
    expect(bridge.disconnect({ user: 'ada' }, { code: 4000, reason: 'kicked' })).toBe(2)
    for (const { connection, context } of [phone, laptop]) {
      expect(connection.closings).toEqual([{ code: 4000, reason: 'kicked' }])
      expect(context.ended).toEqual({ reason: 'disconnected', code: 4000 })
      expect(context.user).toBe('ada')
    }
    expect(other.connection.closings).toEqual([])
    expect(bridge.stats().users).toBe(1)
    expect(bridge.disconnect({ user: 'ada' })).toBe(0)
  })

  it('follow the session: it may become the session of another user, or of none', async () => {
    const { bridge, bind, logIn } = await startWithUsers()
    await logIn('id', 'ada')
    const { context } = await bind('id')
    const seen: (string | undefined)[] = []
    context.on('change', () => seen.push(context.user))
    await bridge.update('id', (draft) => void (draft.user = 'grace'))
    await until(() => seen.length === 1)
    expect([...bridge.connections({ user: 'ada' })]).toEqual([])
    expect([...bridge.connections({ user: 'grace' })]).toEqual([context])
    await bridge.update('id', (draft) => {
      delete draft.user
    })
    await until(() => seen.length === 2)
    expect(seen).toEqual(['grace', undefined])
    expect(bridge.stats().users).toBe(0)
  })

  it('take a number as its decimal text, and find it by the number or the text', async () => {
    const { bridge, bind, logIn } = await startWithUsers({ identify: ({ count }) => count })
    await logIn('id')
    const { context } = await bind('id')
    await bridge.update('id', (draft) => void (draft.count = 42))
    await until(() => context.user === '42')
    expect([...bridge.connections({ user: 42 })]).toEqual([context])
    expect([...bridge.connections({ user: '42' })]).toEqual([context])
  })

  it.each([
    {
      what: 'throws',
      identify: () => {
        throw new Error('no user')
      },
    },
    { what: 'returns a promise', identify: async () => 'ada' },
    { what: 'returns an object', identify: () => ({}) },
  ])('count as nobody, with a fault, where `identify` $what', async ({ identify: broken }) => {
    const { bind, bridge, faults, logIn } = await startWithUsers({ identify: broken as never })
    await logIn('id', 'ada')
    const { context } = await bind('id')
    expect(context.user).toBeUndefined()
    expect(bridge.stats().users).toBe(0)
    expect(faults.length).toBeGreaterThan(0)
    await logIn('id', 'grace')
    expect(context.ended).toBeUndefined()
  })

  it('are asked about once for a session, however many sockets it has', async () => {
    const asked = vi.fn(identify)
    const kit = await createTestBridge({ identify: asked })
    atEnd(kit.close)
    const ada = kit.cookie({ user: 'ada' })
    for (let count = 0; count < 5; count += 1) await kit.upgrade(ada)
    expect(asked).toHaveBeenCalledTimes(1)
    await kit.change(ada, (draft) => void (draft.note = 'new'))
    expect(asked).toHaveBeenCalledTimes(2)
  })

  it('have a limit of connections, all sessions together', async () => {
    const { bind, bridge, logIn } = await startWithUsers({ maxSocketsPerUser: 2 })
    await logIn('phone', 'ada')
    await logIn('laptop', 'ada')
    const first = await bind('phone')
    await bind('laptop')
    await expect(bind('laptop')).rejects.toThrow('too-many-sockets')
    first.connection.disappear()
    await bind('laptop')
    expect([...bridge.connections({ user: 'ada' })]).toHaveLength(2)
  })

  it('are refused with 429 over the limit by an upgrade, and closed with 1008 by bind', async () => {
    const kit = await createTestBridge({ identify, maxSocketsPerUser: 1 })
    atEnd(kit.close)
    expect((await kit.upgrade(kit.cookie({ user: 'ada' }))).refusal).toBeUndefined()
    expect((await kit.upgrade(kit.cookie({ user: 'ada' }))).refusal).toMatchObject({
      reason: 'too-many-sockets',
      status: 429,
    })
    expect((await kit.upgrade(kit.cookie({ user: 'grace' }))).refusal).toBeUndefined()

    const { authenticate, bridge, logIn } = await startWithUsers({ maxSocketsPerUser: 1 })
    await logIn('phone', 'ada')
    await logIn('laptop', 'ada')
    const [one, two] = [await authenticate('phone'), await authenticate('laptop')]
    bridge.bind(one, new PlainConnection())
    const late = new PlainConnection()
    bridge.bind(two, late)
    expect(late.closings).toEqual([{ code: 1008, reason: 'too many sockets' }])
  })

  it('are who the session is of when it is bound, not when it was authenticated', async () => {
    const { authenticate, bridge, bind, logIn } = await startWithUsers({ maxSocketsPerUser: 1 })
    await logIn('id', 'ada')
    const old = await authenticate('id')
    await bridge.update('id', (draft) => void (draft.user = 'bob'))
    await bind('id')
    const late = new PlainConnection()
    bridge.bind(old, late)
    expect(late.closings).toEqual([{ code: 1008, reason: 'too many sockets' }])
    expect([...bridge.connections({ user: 'bob' })]).toHaveLength(1)
  })

  it('need a place also where only the authentication has found whose session it is now', async () => {
    const store = new TtlStore()
    const { authenticate, bridge, bind, logIn } = await startWithUsers({ store, maxSocketsPerUser: 2 })
    await logIn('id', 'ada')
    await bind('id')
    // Another process: nothing of it is reported here.
    await done((callback) => new TtlStore(store.data).set('id', record({ user: 'bob' }), callback))
    const context = await authenticate('id')
    await logIn('other', 'bob')
    await bind('other')
    await bind('other')
    const late = new PlainConnection()
    bridge.bind(context, late)
    expect(late.closings).toEqual([{ code: 1008, reason: 'too many sockets' }])
    expect([...bridge.connections({ user: 'bob' })]).toHaveLength(2)
  })

  it('are a TypeError where an option or a selector is wrong', async () => {
    const session = { store: new MemoryStore(), secret: 'a secret' }
    expect(() => createSessionBridge({ session, maxSocketsPerUser: 3 })).toThrow(
      /`maxSocketsPerUser` needs option `identify`/,
    )
    expect(() => createSessionBridge({ session, identify: 'user' as never })).toThrow(/`identify` must be a function/)
    expect(() => createSessionBridge({ session, reauthorizeMs: 0 })).toThrow(/`reauthorizeMs`/)
    const { bridge } = await startWithUsers()
    for (const wrong of [{}, { user: '' }, { user: NaN }, { user: undefined }, 5, null]) {
      expect(() => bridge.connections(wrong as never)).toThrow(TypeError)
      expect(() => bridge.disconnect(wrong as never)).toThrow(TypeError)
      expect(() => bridge.reauthorize(wrong as never)).toThrow(TypeError)
    }
    expect(() => bridge.disconnect(undefined as never)).toThrow(TypeError)
    expect(() => bridge.connections((() => true) as never)).toThrow(TypeError)
  })
})

describe('reauthorize', () => {
  it('asks again although the session has not changed, and ends with 4403 where the answer is no', async () => {
    const banned = new Set<string>()
    const { bridge, bind, logIn } = await startWithUsers({
      authorize: async ({ user }) => Promise.resolve(!banned.has(user ?? '')),
    })
    await logIn('ada', 'ada')
    await logIn('grace', 'grace')
    const [ada, grace] = [await bind('ada'), await bind('grace')]
    banned.add('ada')
    expect(bridge.reauthorize({ user: 'ada' })).toBe(1)
    await until(() => ada.context.ended !== undefined)
    expect(ada.context.ended).toEqual({ reason: 'forbidden', code: 4403 })
    expect(bridge.reauthorize()).toBe(1)
    expect(bridge.reauthorize('grace')).toBe(1)
    expect(bridge.reauthorize(({ user }) => user === 'grace')).toBe(1)
    expect(bridge.reauthorize({ user: 'nobody' })).toBe(0)
    expect(grace.context.ended).toBeUndefined()
  })

  it('asks again about a handshake under way, and about a context that is not bound yet', async () => {
    let isBanned = false
    const gate = createGate()
    const { bridge, authenticate, logIn } = await startWithUsers({
      authorize: async () => {
        const isPermitted = !isBanned
        await gate.wait()
        return isPermitted
      },
    })
    await logIn('ada', 'ada')
    const authenticating = authenticate('ada')
    await gate.arrived
    isBanned = true
    bridge.reauthorize({ user: 'ada' })
    gate.open()
    const connection = new PlainConnection()
    const context = await authenticating
    bridge.bind(context, connection)
    await until(() => context.ended !== undefined)
    expect(connection.closings).toMatchObject([{ code: 4403 }])
  })

  it('asks again about a socket that has just been opened by a handshake which was asked about before', async () => {
    let isBanned = false
    const gate = createGate()
    const heard: unknown[] = []
    const app = await startApp({
      bridge: {
        authorize: async () => {
          const isPermitted = !isBanned
          await gate.wait()
          return isPermitted
        },
      },
      onConnection: (ws) => ws.on('message', (data) => heard.push(data)),
    })
    const opening = open(app.wsUrl, { cookie: await app.login('ada') })
    await gate.arrived
    isBanned = true
    app.bridge.reauthorize()
    gate.open()
    const client = await opening
    client.ws.send('too late')
    expect((await client.closed).code).toBe(4403)
    expect(heard).toEqual([])
  })

  it('holds messages until the answer, then delivers or drops them', async () => {
    const answers: ((yes: boolean) => void)[] = []
    let isSlow = false
    const kit = await createTestBridge({
      authorize: () => (isSlow ? new Promise<boolean>((resolve) => answers.push(resolve)) : true),
    })
    atEnd(kit.close)
    const { ws, context, closed } = await kit.upgrade(kit.cookie({ user: 'ada' }))
    const server = context.ws!
    const heard: string[] = []
    server.on('message', (data) => heard.push((data as Buffer).toString()))
    isSlow = true
    kit.bridge.reauthorize()
    ws.send('held')
    await until(() => answers.length === 1)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(heard).toEqual([])
    answers[0]!(true)
    await until(() => heard.length === 1)
    kit.bridge.reauthorize()
    await until(() => answers.length === 2)
    ws.send('dropped')
    answers[1]!(false)
    expect((await closed).code).toBe(4403)
    expect(heard).toEqual(['held'])
  })

  it('happens by itself within `reauthorizeMs`, without reading the store', async () => {
    let asked = 0
    let isBanned = false
    const kit = await createTestBridge({
      reauthorizeMs: 60_000,
      authorize: () => {
        asked += 1
        return !isBanned
      },
    })
    atEnd(kit.close)
    const { closed } = await kit.upgrade(kit.cookie({ user: 'ada' }))
    const get = vi.spyOn(kit.store, 'get')
    expect(asked).toBe(1)
    await kit.clock.advance(60_000)
    expect(asked).toBe(2)
    await kit.clock.advance(600_000)
    expect(asked).toBeGreaterThanOrEqual(12)
    expect(get).not.toHaveBeenCalled()
    isBanned = true
    await kit.clock.advance(60_000)
    expect((await closed).code).toBe(4403)
  })
})
