import { describe, expect, it, vi } from 'vitest'
import { startApp } from '../support/app.js'
import { open, refused } from '../support/client.js'
import { forgedFrom } from '../support/forged-cookie.js'
import { startVerified } from './verified-server.js'

describe('a ws server whose verifyClient asks the bridge', () => {
  it('lets in who has logged in, and hands the context to the connection listener', async () => {
    const app = await startApp()
    const { url, accepted } = await startVerified(app)
    const next = accepted()
    await open(url, { cookie: await app.login('ada') })
    expect((await next).context.session.user).toBe('ada')
  })

  it('answers the others with the status of their refusal, and opens nothing', async () => {
    const app = await startApp({ bridge: { authorize: ({ role }) => role === 'admin' } })
    const { url, wss } = await startVerified(app)
    const connected = vi.fn()
    wss.on('connection', connected)
    const cookie = await app.login('ada')
    expect((await refused(url, { cookie })).status).toBe(403)
    expect((await refused(url, { cookie: forgedFrom(cookie) })).status).toBe(401)
    expect((await refused(url)).status).toBe(401)
    expect(connected).not.toHaveBeenCalled()
    expect(app.refusals.map(({ reason }) => reason)).toEqual(['forbidden', 'bad-signature', 'no-cookie'])
  })

  it('opens nothing without a context, also where the bridge accepts anonymous requests', async () => {
    const app = await startApp({ bridge: { anonymous: 'accept' } })
    const { url } = await startVerified(app)
    expect((await refused(url)).status).toBe(401)
  })
})
