// what was carried out.
import { describe, expect, it } from 'vitest'
import { startTestBridge } from '../testing/test-bridge.js'
import { createRoom } from './message-permissions.js'

describe('permissions of each message', () => {
  it.each([
    ['member', { type: 'post', text: 'hello' }, true],
    ['member', { type: 'ban', text: 'Mallory' }, false],
    ['staff', { type: 'ban', text: 'Mallory' }, true],
    ['staff', { type: 'toString', text: '' }, false],
    ['staff', { type: '__proto__', text: '' }, false],
    ['staff', { type: 'post' }, false],
    ['staff', 5, false],
    ['staff', null, false],
    [undefined, { type: 'post', text: 'hello' }, false],
  ])('of %s, for %j: %s', async (role, message, isAllowed) => {
    const done: unknown[] = []
    const { cookie, upgrade } = await startTestBridge({ onConnection: createRoom((sent) => void done.push(sent)) })
    const { ws, next } = await upgrade(cookie({ user: 'Ada', ...(role && { role }) }))
    ws.send(JSON.stringify(message))
    // A second one, always denied, tells that the first has been dealt with.
    ws.send('no JSON')
    expect(await next()).toBe('{"type":"denied"}')
    if (!isAllowed) expect(await next()).toBe('{"type":"denied"}')
    expect(done).toEqual(isAllowed ? [message] : [])
  })

  it('follow the session: what was allowed a moment ago no longer is', async () => {
    const done: unknown[] = []
    const { cookie, upgrade, change } = await startTestBridge({
      onConnection: createRoom(({ text }, { user }) => void done.push(`${user}: ${text}`)),
    })
    const ada = cookie({ user: 'Ada', role: 'staff' })
    const { ws, next } = await upgrade(ada)
    ws.send('{ "type": "ban", "text": "Mallory" }')
    ws.send('no JSON')
    await next()
    await change(ada, (draft) => {
      draft.role = 'member'
    })
    ws.send('{ "type": "ban", "text": "Grace" }')
    expect(await next()).toBe('{"type":"denied"}')
    expect(done).toEqual(['Ada: Mallory'])
  })
})
