// what its pages get to see, without a port and a browser.
import { WebSocketServer } from 'ws'
import { describe, expect, it } from 'vitest'
import { createTestBridge, type TestUpgrade } from 'ws-session-bridge/testing'
import { localChannel } from '../demo/src/channel.js'
import { hashOf } from '../demo/src/identity.js'
import type { AdminCommand, ToMonitor, ToRoom } from '../demo/src/messages.js'
import { createMonitor, mayConnect, monitorPath } from '../demo/src/monitor.js'
import { Nodes } from '../demo/src/nodes.js'
import { createRoom, roomPath } from '../demo/src/room.js'
import { atEnd } from './support/at-end.js'

type Message = ToRoom | ToMonitor

async function startDemo() {
  const banned = new Set<string>()
  const kit = await createTestBridge({
    authorize: (session, _request, { url }) => mayConnect(session, roomPath, url, banned),
    identify: ({ user }) => user,
  })
  atEnd(kit.close)
  const nodes = new Nodes(kit.bridge, localChannel(), 'node 1', 'http://localhost')
  const parts = { room: createRoom(nodes, 60_000), monitor: createMonitor(nodes, banned, undefined) }
  atEnd(() => {
    for (const part of [nodes, parts.room, parts.monitor]) part.close()
  })
  const wss = new WebSocketServer({ noServer: true })
  kit.bridge.attach(kit.server, wss, { path: roomPath, onConnection: parts.room.onConnection })
  kit.bridge.attach(kit.server, wss, { path: monitorPath, onConnection: parts.monitor.onConnection })
  return {
    ...kit,
    enter: (cookie: string) => kit.upgrade(cookie, { url: roomPath }),
    watch: (cookie: string) => kit.upgrade(cookie, { url: monitorPath }),
    hash: (cookie: string) => hashOf(kit.bridge.readSessionID(cookie)!),
  }
}

/** The next message of that type for which `isIt`; what comes before it is passed over. */
async function nextOf<T extends Message['type']>(
  tab: TestUpgrade,
  type: T,
  isIt: (message: Extract<Message, { type: T }>) => boolean = () => true,
): Promise<Extract<Message, { type: T }>> {
  for (;;) {
    const message = JSON.parse(await tab.next()) as Message
    if (message.type === type && isIt(message as Extract<Message, { type: T }>)) {
      return message as Extract<Message, { type: T }>
    }
  }
}

describe("the demo's room", () => {
  it('greets by the name in the session, and by the new one when it changes', async () => {
    const { cookie, enter, change, hash } = await startDemo()
    const ada = cookie({ user: 'Ada' })
    const tab = await enter(ada)
    expect(await nextOf(tab, 'session')).toMatchObject({
      node: 'node 1',
      session: hash(ada),
      snapshot: { user: 'Ada' },
    })
    await change(ada, (draft) => {
      draft.user = 'Ada Lovelace'
    })
    expect(await nextOf(tab, 'session')).toMatchObject({ snapshot: { user: 'Ada Lovelace' } })
  })

  it('tells every user what one says, with the name that the session has', async () => {
    const { cookie, enter, hash } = await startDemo()
    const ada = cookie({ user: 'Ada' })
    const tabs = [await enter(ada), await enter(ada), await enter(cookie({ user: 'Grace' }))]
    tabs[0]!.ws.send('  hello  ')
    for (const tab of tabs) {
      const { said } = await nextOf(tab, 'said', (message) => message.said.length > 0)
      expect(said).toMatchObject([{ user: 'Ada', text: 'hello', session: hash(ada), node: 'node 1' }])
    }
  })

  it('tells who is left when a user logs out', async () => {
    const { cookie, enter, end } = await startDemo()
    const grace = cookie({ user: 'Grace' })
    const [ada, leaving] = [await enter(cookie({ user: 'Ada' })), await enter(grace)]
    await nextOf(ada, 'people', ({ people }) => people.length === 2)
    await end(grace)
    expect((await leaving.closed).code).toBe(4401)
    const { people } = await nextOf(ada, 'people', ({ people: left }) => left.length === 1)
    expect(people).toMatchObject([{ user: 'Ada', tabs: 1 }])
  })

  it('lets no user in without a name', async () => {
    const { cookie, enter } = await startDemo()
    expect((await enter(cookie())).refusal?.reason).toBe('forbidden')
  })
})

describe("the demo's monitor", () => {
  it('lets in the role alone, and closes when it is lost', async () => {
    const { cookie, watch, enter, change } = await startDemo()
    expect((await watch(cookie({ user: 'Ada', role: 'visitor' }))).refusal?.reason).toBe('forbidden')
    const root = cookie({ user: 'Root', role: 'admin' })
    const [monitor, room] = [await watch(root), await enter(root)]
    await change(root, (draft) => {
      draft.role = 'visitor'
    })
    expect((await monitor.closed).code).toBe(4403)
    room.ws.send('still here')
    expect(await nextOf(room, 'said', ({ said }) => said.length > 0)).toMatchObject({ said: [{ user: 'Root' }] })
  })

  it('shows sockets and refusals, and no session ID', async () => {
    const { bridge, cookie, watch, enter, upgrade } = await startDemo()
    const ada = cookie({ user: 'Ada' })
    await enter(ada)
    await upgrade(undefined, { url: `${roomPath}?token=secret` })
    const monitor = await watch(cookie({ user: 'Root', role: 'admin' }))
    const state = await nextOf(monitor, 'state', ({ nodes }) => nodes[0]!.sockets.length === 2)
    expect(state.nodes[0]!.refusals).toMatchObject([{ reason: 'no-cookie', status: 401, path: roomPath }])
    expect(JSON.stringify(state)).not.toContain(bridge.readSessionID(ada))
    expect(JSON.stringify(state)).not.toContain('secret')
  })

  it.each<{ command: Omit<AdminCommand, 'id'>; code: number }>([
    { command: { action: 'kick', target: 'session' }, code: 1008 },
    { command: { action: 'kick', target: 'others' }, code: 1008 },
    { command: { action: 'sign-out', target: 'session' }, code: 4401 },
    { command: { action: 'sign-out', target: 'others' }, code: 4401 },
  ])('runs the command $command.action on $command.target', async ({ command, code }) => {
    const { cookie, watch, enter, hash } = await startDemo()
    const ada = cookie({ user: 'Ada' })
    const tab = await enter(ada)
    const monitor = await watch(cookie({ user: 'Root', role: 'admin' }))
    monitor.ws.send(JSON.stringify({ ...command, id: hash(ada) }))
    expect((await tab.closed).code).toBe(code)
    await nextOf(monitor, 'state', ({ nodes }) => nodes[0]!.sockets.length === 1)
  })

  it('ignores messages that are no command', async () => {
    const { cookie, watch, enter } = await startDemo()
    const tab = await enter(cookie({ user: 'Ada' }))
    const monitor = await watch(cookie({ user: 'Root', role: 'admin' }))
    for (const junk of [
      '',
      'null',
      '{',
      '[]',
      '{"action":"kick"}',
      '{"action":"kick","target":"everything","id":""}',
    ]) {
      monitor.ws.send(junk)
    }
    tab.ws.send('still here')
    await nextOf(tab, 'said', ({ said }) => said.length > 0)
    expect(monitor.ws.readyState).toBe(monitor.ws.OPEN)
  })
})
