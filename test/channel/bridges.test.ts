import { once } from 'node:events'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { MemoryStore, type Store } from 'express-session'
import { createSessionBridge, type SessionContext, type SessionRequest } from 'ws-session-bridge'
import { clusterChannel } from 'ws-session-bridge/cluster'
import { describe, expect, it } from 'vitest'
import { type WebSocket, WebSocketServer } from 'ws'
import { atEnd } from '../support/at-end.js'
import { open } from '../support/client.js'
import { startApp } from '../support/app.js'
import { createHub, type Hub } from './memory-channel.js'

/** A store that several processes share. This one's calls are its own, as the records are all that they have in common. */
function storeOn(sessions: object): Store {
  const store = new MemoryStore()
  Object.assign(store, { sessions })
  return store
}

async function startProcesses(count: number, hub: Hub, revalidateMs = 60_000) {
  const sessions = Object.create(null) as object
  const starts = Array.from({ length: count }, () => {
    const { channel, member, gap } = hub.connect()
    return startApp({ store: storeOn(sessions), bridge: { channel, revalidateMs } }).then((app) => ({
      ...app,
      channel,
      member,
      gap,
    }))
  })
  return await Promise.all(starts)
}

describe('bridges with a channel, on a store that tells nothing', () => {
  it('change and end their sockets when another process does', async () => {
    const hub = createHub()
    const [one, two] = await startProcesses(2, hub)
    const cookie = await one!.login('ada')
    const { ws, closed } = await open(two!.wsUrl, { cookie })
    const changed = new Promise((resolve) => two!.bridge.once('change', ({ session }) => resolve(session)))
    await one!.call('POST', '/set?key=role&value=admin', cookie)
    expect(await changed).toMatchObject({ user: 'ada', role: 'admin' })
    await one!.call('POST', '/logout', cookie)
    expect(await closed).toMatchObject({ code: 4401 })
    expect(ws.readyState).toBe(ws.CLOSED)
    expect(one!.faults).toEqual([])
  })

  it('hear of the one save of a session whose ID came in a message of another socket', async () => {
    const hub = createHub()
    const [one, two] = await startProcesses(2, hub)
    const [ada, admin] = [await one!.login('ada', 'editor'), await one!.login('admin')]
    const accepted = once(two!.bridge, 'accept') as Promise<[SessionContext]>
    await open(two!.wsUrl, { cookie: ada })
    const [context] = await accepted
    const connected = once(one!.wss, 'connection') as Promise<[WebSocket, SessionRequest]>
    await open(one!.wsUrl, { cookie: admin })
    const [, request] = await connected
    const { store } = one!
    // Not the store of the upgrade's request, which is the bridge's.
    Object.assign(request, { sessionID: context.sessionID, sessionStore: store })
    store.get(context.sessionID, (_error, record) => {
      const session = store.createSession(request as never, record!)
      Object.assign(session, { role: 'none' })
      session.save()
    })
    await expect.poll(() => context.session).toMatchObject({ user: 'ada', role: 'none' })
  })

  it('look at everything after a gap', async () => {
    const hub = createHub()
    const [one, two] = await startProcesses(2, hub)
    const cookie = await one!.login('ada')
    const { closed } = await open(two!.wsUrl, { cookie })
    two!.member.isCut = true
    await one!.call('POST', '/logout', cookie)
    two!.member.isCut = false
    two!.gap()
    expect(await closed).toMatchObject({ code: 4401 })
  })

  it('tell in the words of the channel why it is late, where it has a deadline of its own', async () => {
    const { channel } = createHub().connect(100)
    const late = new Error('The primary passes nothing on.')
    const publish = (): Promise<never> => new Promise((_resolve, reject) => setTimeout(reject, 100, late))
    const app = await startApp({ bridge: { channel: { ...channel, publish } } })
    await app.login('ada')
    await expect.poll(() => app.faults, { timeout: 5_000 }).toHaveLength(1)
    expect(app.faults[0]).toMatchObject({ cause: late })
  })

  it('find by revalidation what was told while the channel was down', async () => {
    const hub = createHub()
    const [one, two] = await startProcesses(2, hub, 200)
    const [staying, leaving] = [await one!.login('ada'), await one!.login('grace')]
    await open(two!.wsUrl, { cookie: staying })
    const { closed } = await open(two!.wsUrl, { cookie: leaving })
    const changed = new Promise((resolve) => two!.bridge.once('change', ({ session }) => resolve(session)))
    two!.member.isCut = true
    await one!.call('POST', '/set?key=role&value=admin', staying)
    await one!.call('POST', '/logout', leaving)
    expect(await changed).toMatchObject({ user: 'ada', role: 'admin' })
    expect(await closed).toMatchObject({ code: 4401 })
  })

  it('tell of junk by a fault, and are not disturbed', async () => {
    const hub = createHub()
    const [one] = await startProcesses(1, hub)
    for (let count = 0; count < 100; count += 1) hub.say('junk')
    await expect.poll(() => one!.faults.length).toBe(1)
    expect(String(one!.faults[0])).toContain('A message on the channel is dropped')
  })

  it('reject a function and an unknown option everywhere, as they throw for it here, and do nothing anywhere', async () => {
    const [one, two] = await startProcesses(2, createHub())
    const cookie = await one!.login('ada')
    const opened = await Promise.all([open(one!.wsUrl, { cookie }), open(two!.wsUrl, { cookie })])
    const { everywhere } = one!.bridge
    const every = (() => true) as never
    const misspelt = { cod: 4000 } as never
    const sessionID = one!.bridge.readSessionID(cookie)!
    for (const method of ['disconnect', 'reauthorize', 'connections'] as const) {
      await expect(everywhere[method](every)).rejects.toThrow(
        new TypeError(`${method}: pass a session ID, or { user }.`),
      )
    }
    const thrown = new TypeError('disconnect: option `cod` is unknown. The options are: code, reason.')
    expect(() => one!.bridge.disconnect(sessionID, misspelt)).toThrow(thrown)
    await expect(everywhere.disconnect(sessionID, misspelt)).rejects.toThrow(thrown)
    expect(await everywhere.connections(sessionID)).toMatchObject({ count: 2, nodes: 2, complete: true })
    for (const { ws } of opened) expect(ws.readyState).toBe(ws.OPEN)
  })

  it('close the channel with the bridge', async () => {
    const hub = createHub()
    const [one] = await startProcesses(1, hub)
    await one!.bridge.close()
    await expect(one!.channel.publish('late')).rejects.toThrow()
  })

  it('write no session ID to the channel', async () => {
    const hub = createHub()
    const [one, two] = await startProcesses(2, hub)
    const cookie = await one!.login('ada')
    const { closed } = await open(two!.wsUrl, { cookie })
    await one!.call('POST', '/set?key=role&value=admin', cookie)
    const sessionID = one!.bridge.readSessionID(cookie)!
    await one!.bridge.destroy(sessionID)
    await closed
    expect(hub.traffic.length).toBeGreaterThan(2)
    expect(hub.traffic.join('\n')).not.toContain(sessionID)
  })

  it('throw a TypeError for what is no channel', async () => {
    await expect(startApp({ bridge: { channel: {} as never } })).rejects.toThrow(
      /Option `channel` has no method `publish`/,
    )
  })

  it.each([
    ['of the package', () => clusterChannel()],
    ["of the app's own, frozen", () => Object.freeze(createHub().connect().channel)],
  ])('throw a TypeError for a channel that another bridge has, or had: one %s', async (_, make) => {
    const channel = make()
    const session = { store: new MemoryStore(), secret: 'a secret', resave: false, saveUninitialized: false }
    const one = createSessionBridge({ session, channel })
    atEnd(() => one.close())
    const second = () => createSessionBridge({ session, channel })
    expect(second).toThrow(TypeError)
    expect(second).toThrow(/^Option `channel`: .* belongs to another bridge.* Make one for each/)
    expect(await one.everywhere.connections()).toMatchObject({ nodes: 1 })
    await one.close()
    expect(second).toThrow(TypeError)
  })

  it('throw a TypeError for the channel of a LiveStore that is none, or that another bridge has', () => {
    const session = { store: new MemoryStore(), secret: 'a secret', resave: false, saveUninitialized: false }
    const noop = () => undefined as never
    const store = { get: noop, replace: noop, touch: noop, destroy: noop, watch: noop, unwatch: noop }
    const live = { ...store, onChange: noop, close: noop }
    const { channel } = createHub().connect()
    createSessionBridge({ session, live: { ...live, channel } as never })
    expect(() => createSessionBridge({ session, live: { ...live, channel } as never })).toThrow(
      /^Option `live`: .* belongs to another bridge/,
    )
    expect(() => createSessionBridge({ session, channel })).toThrow(/^Option `channel`: .* belongs to another bridge/)
    expect(() => createSessionBridge({ session, live: { ...live, channel: {} } as never })).toThrow(
      /^Option `live`: its `channel` has no method `publish`/,
    )
  })

  const broken = new Error('The channel is broken.')
  const throws = () => {
    throw broken
  }
  const rejects = () => Promise.reject(broken)
  it.each([
    ['subscribe throws', { subscribe: throws }],
    ['subscribe rejects', { subscribe: rejects }],
    ['publish throws', { publish: throws }],
    ['publish rejects', { publish: rejects }],
    ['every method throws', { subscribe: throws, publish: throws, close: throws }],
    ['every method rejects', { subscribe: rejects, publish: rejects, close: rejects }],
  ])('let clients in and tell of it by a fault where a Channel of the app is broken: %s', async (_, methods) => {
    const channel = { ...createHub().connect(200).channel, ...methods }
    const app = await startApp({ bridge: { channel } })
    const cookie = await app.login('ada')
    const { closed } = await open(app.wsUrl, { cookie })
    await expect.poll(() => app.faults).toHaveLength(1)
    expect(app.faults[0]).toMatchObject({ code: 'CHANNEL_UNAVAILABLE', cause: broken })
    // Others may have connections that it does not hear of.
    expect(await app.bridge.everywhere.disconnect({ user: 'nobody' })).toMatchObject({ count: 0, complete: false })
    await app.bridge.close()
    expect(await closed).toMatchObject({ code: 1001 })
  })

  it('neither throw nor leave the first request without an answer where a Channel of the app throws', async () => {
    const session = { store: new MemoryStore(), secret: 'a secret', resave: false, saveUninitialized: false }
    const bridgeOn = () => {
      const bridge = createSessionBridge({ session, channel: { ...createHub().connect().channel, subscribe: throws } })
      const faults: unknown[] = []
      bridge.on('fault', (error) => faults.push(error))
      atEnd(() => bridge.close())
      return { bridge, faults }
    }
    const [asked, upgraded] = [bridgeOn(), bridgeOn()]
    expect(await asked.bridge.authenticate(new IncomingMessage(new Socket()))).toMatchObject({ accepted: false })
    const refused = new Promise((resolve) => upgraded.bridge.once('refuse', resolve))
    const wss = new WebSocketServer({ noServer: true })
    const socket = new Socket()
    upgraded.bridge.handleUpgrade(wss, new IncomingMessage(socket), socket, Buffer.alloc(0))
    expect(await refused).toMatchObject({ reason: 'bad-request' })
    for (const { faults } of [asked, upgraded]) expect(faults).toMatchObject([{ cause: broken }])
  })
})
