// the table decides, for who is connected and for who connects.
import { describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'
import { startTestBridge } from '../testing/test-bridge.js'
import { ban, isAdmin, isWelcome, setRole, type Accounts } from './ban.js'

interface Account {
  role: string
  isBanned: boolean
}

function accountsOf(...users: string[]): Accounts {
  const rows = new Map<string, Account>(users.map((user) => [user, { role: 'member', isBanned: false }]))
  return {
    find: (user) => Promise.resolve(rows.get(user)),
    save: (user, changes) => Promise.resolve(void Object.assign(rows.get(user) ?? {}, changes)),
  }
}

describe('a ban', () => {
  it('closes every socket of the user with 4403, lets nobody else go, and refuses the user from then on', async () => {
    const accounts = accountsOf('Ada', 'Mallory')
    const { cookie, upgrade, bridge } = await startTestBridge({
      identify: ({ user }) => user,
      authorize: isWelcome(accounts),
    })
    const [laptop, phone] = [cookie({ user: 'Mallory' }), cookie({ user: 'Mallory' })]
    const [first, second] = [await upgrade(laptop), await upgrade(phone)]
    const ada = await upgrade(cookie({ user: 'Ada' }))

    expect(await ban(bridge, accounts, 'Mallory')).toEqual({ count: 2, nodes: 1, complete: true })
    for (const { closed } of [first, second]) expect(await closed).toEqual({ code: 4403, reason: 'forbidden' })
    expect(ada.context.ended).toBeUndefined()
    for (const session of [laptop, phone, cookie({ user: 'Mallory' })]) {
      expect((await upgrade(session)).refusal?.reason).toBe('forbidden')
    }
  })

  it('is not needed for a user without an account: there is no row that would let one in', async () => {
    const { cookie, upgrade } = await startTestBridge({ authorize: isWelcome(accountsOf()) })
    expect((await upgrade(cookie({ user: 'Ghost' }))).refusal?.reason).toBe('forbidden')
  })
})

describe('a role in a table', () => {
  it('that is taken away closes the sockets of its path, and no others', async () => {
    const accounts = accountsOf('Ada')
    const { cookie, upgrade, bridge, server } = await startTestBridge({
      identify: ({ user }) => user,
      authorize: isWelcome(accounts),
    })
    await accounts.save('Ada', { role: 'admin' })
    const admins = new WebSocketServer({ noServer: true })
    bridge.attach(server, admins, { path: '/admin', authorize: isAdmin(accounts) })
    const ada = cookie({ user: 'Ada' })
    const [chat, monitor] = [await upgrade(ada), await upgrade(ada, { url: '/admin' })]

    await setRole(bridge, accounts, 'Ada', 'member')
    expect(await monitor.closed).toEqual({ code: 4403, reason: 'forbidden' })
    expect(chat.context.ended).toBeUndefined()
    expect((await upgrade(ada, { url: '/admin' })).refusal?.reason).toBe('forbidden')
  })
})
