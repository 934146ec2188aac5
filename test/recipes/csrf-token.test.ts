// only the first get a socket.
import { describe, expect, it } from 'vitest'
import { startTestBridge } from '../testing/test-bridge.js'
import { csrfToken, knowsCsrfToken } from './csrf-token.js'

async function startWithToken() {
  const kit = await startTestBridge({ authorize: knowsCsrfToken })
  const signed = kit.cookie({ user: 'Ada', csrfToken: 'a-token' })
  return { ...kit, signed, enter: (url: string, protocols: string[] = []) => kit.upgrade(signed, { url, protocols }) }
}

describe('a CSRF token from the session', () => {
  it('opens a socket in the query or in the subprotocol, which is not the one that is selected', async () => {
    const { enter } = await startWithToken()
    expect((await enter('/chat?room=1&csrf=a-token')).status).toBe(101)
    const { ws } = await enter('/chat', ['chat', 'csrf.a-token'])
    expect(ws.protocol).toBe('chat')
  })

  it.each([
    ['/chat', []],
    ['/chat?csrf=', []],
    ['/chat?csrf=a-tokem', []],
    ['/chat?csrf=a', []],
    ['/chat', ['chat', 'csrf.another']],
  ])('refuses %s with %j', async (url, protocols) => {
    const { enter } = await startWithToken()
    expect((await enter(url, protocols)).refusal?.reason).toBe('forbidden')
  })

  it('refuses a session that has none', async () => {
    const { cookie, upgrade } = await startWithToken()
    expect((await upgrade(cookie({ user: 'Grace' }), { url: '/?csrf=undefined' })).refusal?.reason).toBe('forbidden')
  })

  it('keeps a socket whose session changes', async () => {
    const { enter, change, signed } = await startWithToken()
    const { context } = await enter('/?csrf=a-token')
    await change(signed, (draft) => {
      draft.role = 'staff'
    })
    expect(context.ended).toBeUndefined()
  })

  it('is made once for a session, and told to no cache', () => {
    const session: { csrfToken?: string } = {}
    const answers: unknown[] = []
    const response = {
      set: (...header: unknown[]) => (answers.push(header), response),
      json: (body: unknown) => answers.push(body),
    }
    for (let times = 0; times < 2; times += 1) void csrfToken({ session } as never, response as never, () => undefined)
    expect(session.csrfToken).toMatch(/^[\w-]{43}$/)
    const answer = [['Cache-Control', 'no-store'], { token: session.csrfToken }]
    expect(answers).toEqual([...answer, ...answer])
  })
})
