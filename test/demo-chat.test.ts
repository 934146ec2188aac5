// In: the demo's connection listener, on a test bridge. Out: what its pages get to see.
import { WebSocketServer } from 'ws'
import { describe, expect, it } from 'vitest'
import { createTestBridge, type TestUpgrade } from 'ws-session-bridge/testing'
import { createChat, type ToPage } from '../demo/src/chat.js'
import { atEnd } from './support/at-end.js'

async function startChat() {
  const kit = await createTestBridge({ authorize: ({ user }) => user !== undefined })
  atEnd(kit.close)
  const wss = new WebSocketServer({ noServer: true })
  kit.bridge.attach(kit.server, wss, { path: '/chat', onConnection: createChat(kit.bridge) })
  return { ...kit, openTab: (cookie: string) => kit.upgrade(cookie, { url: '/chat' }) }
}

/** The next message of that type; what comes before it is passed over. */
async function nextOf<T extends ToPage['type']>(tab: TestUpgrade, type: T): Promise<Extract<ToPage, { type: T }>> {
  for (;;) {
    const message = JSON.parse(await tab.next()) as ToPage
    if (message.type === type) return message as Extract<ToPage, { type: T }>
  }
}

describe("the demo's chat", () => {
  it('greets by the name in the session, and by the new one when it changes', async () => {
    const { cookie, openTab, change } = await startChat()
    const ada = cookie({ user: 'Ada', loggedInAt: 1 })
    const tab = await openTab(ada)
    expect(await nextOf(tab, 'session')).toEqual({ type: 'session', user: 'Ada', loggedInAt: 1 })
    await change(ada, (draft) => {
      draft.user = 'Ada Lovelace'
    })
    expect(await nextOf(tab, 'session')).toMatchObject({ user: 'Ada Lovelace' })
  })

  it('sends what a tab says to all tabs of its session, and to nobody else', async () => {
    const { cookie, openTab } = await startChat()
    const ada = cookie({ user: 'Ada' })
    const [first, second, other] = [await openTab(ada), await openTab(ada), await openTab(cookie({ user: 'Grace' }))]
    first.ws.send('hello')
    expect(await nextOf(first, 'echo')).toEqual({ type: 'echo', user: 'Ada', text: 'hello', fromThisTab: true })
    expect(await nextOf(second, 'echo')).toMatchObject({ text: 'hello', fromThisTab: false })
    other.ws.send('mine')
    expect(await nextOf(other, 'echo')).toMatchObject({ text: 'mine' })
  })

  it('tells who is left when somebody logs out', async () => {
    const { cookie, openTab, end } = await startChat()
    const grace = cookie({ user: 'Grace' })
    const [ada, leaving] = [await openTab(cookie({ user: 'Ada' })), await openTab(grace)]
    await end(grace)
    expect((await leaving.closed).code).toBe(4401)
    let people = await nextOf(ada, 'presence')
    while (people.people.length !== 1 || people.people[0]?.user !== 'Ada') people = await nextOf(ada, 'presence')
    // The first time was before Grace came.
    expect((await nextOf(ada, 'presence')).people.map(({ user }) => user)).toEqual(['Ada', 'Grace'])
    expect((await nextOf(ada, 'presence')).people.map(({ user }) => user)).toEqual(['Ada'])
  })

  it('lets in nobody without a name', async () => {
    const { cookie, openTab } = await startChat()
    expect((await openTab(cookie())).refusal?.reason).toBe('forbidden')
  })
})
