// The code of docs/users.md, on two processes with one store and one table of users.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { MemoryStore, type Store } from 'express-session'
import { expect, it } from 'vitest'
import { WebSocketServer } from 'ws'
import { createHub } from '../channel/memory-channel.js'
import { recordOf } from '../store/live-store-suite.js'
import { atEnd } from '../support/at-end.js'
import { open, refused } from '../support/client.js'
import { ban, changeRole, createChat, isAdmin, kick, sendTo, whoIsOnline, type UserTable } from './users.js'

async function startTwo() {
  const hub = createHub()
  const roles = new Map<string, string | undefined>()
  const table: UserTable = {
    roleOf: (user) => Promise.resolve(roles.get(user)),
    setRole: (user, role) => Promise.resolve(roles.set(user, role)),
  }
  const sessions = {}
  const startNode = async () => {
    const store: Store = Object.assign(new MemoryStore(), { sessions })
    const options = { store, secret: 'a secret', resave: false, saveUninitialized: false }
    const bridge = createChat(options, table, { channel: hub.connect().channel })
    const server = createServer()
    bridge.attach(server, new WebSocketServer({ noServer: true }), { path: '/chat' })
    bridge.attach(server, new WebSocketServer({ noServer: true }), { path: '/admin', authorize: isAdmin(table) })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    atEnd(async () => {
      server.close()
      await bridge.close()
    })
    const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
    return { bridge, store, url }
  }
  const [one, two] = [await startNode(), await startNode()]
  let count = 0
  const login = async (user: string, role = 'member') => {
    if (!roles.has(user)) roles.set(user, role)
    const sessionID = `session-${(count += 1)}`
    await promisify(one.store.set.bind(one.store))(sessionID, recordOf({ user }))
    return one.bridge.signedCookie(sessionID)
  }
  // A process is there when it has said so.
  await expect.poll(async () => (await one.bridge.everywhere.connections()).nodes).toBe(2)
  return { one, two, table, login }
}

it('sends to every socket of a user in the process, of all sessions, and to no other user', async () => {
  const { two, login } = await startTwo()
  const sockets = [
    await open(`${two.url}/chat`, { cookie: await login('Ada') }),
    await open(`${two.url}/chat`, { cookie: await login('Ada') }),
  ]
  const other = await open(`${two.url}/chat`, { cookie: await login('Grace') })
  expect([sendTo(two.bridge, 'Ada', 'hello'), sendTo(two.bridge, 'Grace', 'for Grace')]).toEqual([2, 1])
  expect(sendTo(two.bridge, 'Nobody', 'lost')).toBe(0)
  expect(await Promise.all([...sockets, other].map(({ next }) => next()))).toEqual(['hello', 'hello', 'for Grace'])
})

it('kicks a user from a process that has none of the sockets, and the user may come back', async () => {
  const { one, two, login } = await startTwo()
  const cookie = await login('Ada')
  const { closed } = await open(`${two.url}/chat`, { cookie })
  expect(await kick(one.bridge, 'Ada')).toBe(1)
  expect(await closed).toEqual({ code: 4000, reason: 'kicked' })
  await open(`${two.url}/chat`, { cookie })
})

it('bans a user in every process, and the user does not come back', async () => {
  const { one, two, table, login } = await startTwo()
  const [cookie, other] = [await login('Ada'), await login('Grace')]
  const sockets = [await open(`${one.url}/chat`, { cookie }), await open(`${two.url}/chat`, { cookie })]
  const { ws } = await open(`${two.url}/chat`, { cookie: other })
  await ban(one.bridge, table, 'Ada')
  for (const { closed } of sockets) expect((await closed).code).toBe(4403)
  for (const { url } of [one, two]) expect((await refused(`${url}/chat`, { cookie })).status).toBe(403)
  expect(ws.readyState).toBe(ws.OPEN)
})

it('closes only the sockets of the path that a lost role was for', async () => {
  const { one, two, table, login } = await startTwo()
  const cookie = await login('Ada', 'admin')
  const [chat, admin] = [await open(`${two.url}/chat`, { cookie }), await open(`${two.url}/admin`, { cookie })]
  await changeRole(one.bridge, table, 'Ada', 'member')
  expect((await admin.closed).code).toBe(4403)
  expect(chat.ws.readyState).toBe(chat.ws.OPEN)
  expect((await refused(`${two.url}/admin`, { cookie })).status).toBe(403)
})

it('lists who is online in any process, each user once', async () => {
  const { one, two, login } = await startTwo()
  await open(`${one.url}/chat`, { cookie: await login('Ada') })
  await open(`${two.url}/chat`, { cookie: await login('Ada') })
  await open(`${two.url}/chat`, { cookie: await login('Grace') })
  expect(await whoIsOnline(one.bridge)).toEqual({ users: ['Ada', 'Grace'], complete: true })
})
