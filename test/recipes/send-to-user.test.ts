// a message reaches all of one's own, and nobody else's.
import { describe, expect, it } from 'vitest'
import { startTestBridge } from '../testing/test-bridge.js'
import { ConnectedUsers, sendToUser } from './send-to-user.js'

async function startWithUsers() {
  const kit = await startTestBridge()
  const users = new ConnectedUsers(kit.bridge)
  const [phone, laptop, grace] = [
    kit.cookie({ user: 'Ada' }),
    kit.cookie({ user: 'Ada' }),
    kit.cookie({ user: 'Grace' }),
  ]
  const sockets = [await kit.upgrade(phone), await kit.upgrade(phone), await kit.upgrade(laptop)]
  return { ...kit, users, phone, laptop, sockets, other: await kit.upgrade(grace) }
}

describe.each(['sendToUser', 'ConnectedUsers'])('sending to every socket of a user by %s', (way) => {
  it('reaches all sessions and tabs of that user, and nobody else', async () => {
    const { bridge, users, sockets, other } = await startWithUsers()
    const send = (user: string, message: string) => {
      if (way === 'sendToUser') sendToUser(bridge, user, message)
      else users.send(user, message)
    }
    send('Ada', 'hello')
    send('Grace', 'for Grace')
    send('Nobody', 'lost')
    expect(await Promise.all(sockets.map(({ next }) => next()))).toEqual(['hello', 'hello', 'hello'])
    expect(await other.next()).toBe('for Grace')
  })
})

describe('ConnectedUsers', () => {
  it('follows who a session belongs to, and forgets who has gone', async () => {
    const { users, change, end, phone, laptop } = await startWithUsers()
    await change(phone, (draft) => {
      draft.user = 'Joan'
    })
    expect(users.users.sort()).toEqual(['Ada', 'Grace', 'Joan'])
    await end(laptop)
    expect(users.users.sort()).toEqual(['Grace', 'Joan'])
    await change(phone, (draft) => {
      delete draft.user
    })
    expect(users.users).toEqual(['Grace'])
  })
})

describe('sendToUser', () => {
  it('says how many sockets it went to', async () => {
    const { bridge } = await startWithUsers()
    expect(sendToUser(bridge, 'Ada', 'hello')).toBe(3)
    expect(sendToUser(bridge, 'Nobody', 'hello')).toBe(0)
  })
})
