import session, { MemoryStore } from 'express-session'
import createMemoryStore from 'memorystore'
import { describe, expect, it, vi } from 'vitest'
import { startApp } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { open, refused } from '../support/client.js'

const Memorystore = createMemoryStore(session)

describe.each([
  ["express-session's MemoryStore", () => new MemoryStore()],
  ['memorystore', () => new Memorystore({})],
])('%s', (_name, create) => {
  it('lets a session in that an HTTP request has made, and shows it as it is at the handshake', async () => {
    const roles: unknown[] = []
    const app = await startApp({
      store: create(),
      onConnection: (_ws, _request, context) => roles.push(context.session.role),
    })
    const cookie = await app.login('ada')
    await open(app.wsUrl, { cookie })
    await app.call('POST', '/set?key=role&value=admin', cookie)
    await open(app.wsUrl, { cookie })
    expect(roles).toEqual([undefined, 'admin'])
  })

  it('refuses an unknown session, one that was logged out, and one that was regenerated', async () => {
    const app = await startApp({ store: create() })
    const [loggedOut, regenerated] = [await app.login('ada'), await app.login('bob')]
    await app.call('POST', '/logout', loggedOut)
    await app.call('POST', '/regenerate?name=bob', regenerated)
    for (const cookie of [app.bridge.signedCookie('unknown'), loggedOut, regenerated]) {
      expect((await refused(app.wsUrl, { cookie })).status).toBe(401)
    }
    expect(app.refusals.map(({ reason }) => reason)).toEqual(['no-session', 'no-session', 'no-session'])
  })

  it('refuses a session that has expired', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    atEnd(() => vi.useRealTimers())
    const app = await startApp({ store: create(), session: { cookie: { maxAge: 60_000 } } })
    const cookie = await app.login('ada')
    await open(app.wsUrl, { cookie })
    vi.setSystemTime(Date.now() + 61_000)
    expect((await refused(app.wsUrl, { cookie })).status).toBe(401)
  })
})
