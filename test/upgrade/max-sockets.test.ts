import { describe, expect, it, vi } from 'vitest'
import { MemoryStore } from 'express-session'
import { startApp } from '../support/app.js'
import { open, refused } from '../support/client.js'
import { gatedStore } from '../support/gate.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'

describe('the sockets of one session', () => {
  it('are capped: one more is answered 429, without a store call', async () => {
    const app = await startApp({ bridge: { maxSocketsPerSession: 2 } })
    const cookie = await app.login('ada')
    await open(app.wsUrl, { cookie })
    await open(app.wsUrl, { cookie })
    const get = vi.spyOn(app.store, 'get')
    expect((await refused(app.wsUrl, { cookie })).status).toBe(429)
    expect(get).not.toHaveBeenCalled()
    expect(app.refusals).toEqual([{ reason: 'too-many-sockets', status: 429 }])
  })

  it('do not count for another session', async () => {
    const app = await startApp({ bridge: { maxSocketsPerSession: 1 } })
    await open(app.wsUrl, { cookie: await app.login('ada') })
    const other = await open(app.wsUrl, { cookie: await app.login('bob') })
    expect(other.ws.readyState).toBe(other.ws.OPEN)
    expect(app.bridge.stats()).toMatchObject({ sockets: 2, sessions: 2 })
  })

  it('leave their place when they close', async () => {
    const app = await startApp({ bridge: { maxSocketsPerSession: 1 } })
    const cookie = await app.login('ada')
    for (let round = 0; round < 3; round += 1) {
      const client = await open(app.wsUrl, { cookie })
      const ended = new Promise((resolve) => app.bridge.once('end', resolve))
      client.ws.close()
      await ended
      expect(app.bridge.stats()).toMatchObject({ sockets: 0, sessions: 0 })
    }
  })

  it('are counted with the handshakes under way: of two that race for the last place one gets it', async () => {
    const { store, hold } = gatedStore(new MemoryStore())
    const app = await startApp({ store, bridge: { maxSocketsPerSession: 1 } })
    const cookie = await app.login('ada')
    const gate = hold('get', 'answer')
    const first = rawRequest(app.port, upgradeRequest({ cookie }))
    await gate.arrived
    const second = rawRequest(app.port, upgradeRequest({ cookie }))
    expect(await second.receivedUntil('\r\n\r\n')).toContain('429')
    gate.open()
    expect(await first.receivedUntil('\r\n\r\n')).toContain('101')
    expect(app.bridge.stats()).toMatchObject({
      pending: 0,
      sockets: 1,
      accepted: 1,
      refused: { 'too-many-sockets': 1 },
    })
  })

  it('leave the handshakes of other sessions their places: one session cannot take all of maxPending', async () => {
    const { store, hold } = gatedStore(new MemoryStore())
    const app = await startApp({ store, bridge: { maxSocketsPerSession: 1, maxPending: 2 } })
    const [ada, grace] = [await app.login('ada'), await app.login('grace')]
    const gate = hold('get', 'answer')
    const first = rawRequest(app.port, upgradeRequest({ cookie: ada }))
    await gate.arrived
    const others = Array.from({ length: 5 }, () => rawRequest(app.port, upgradeRequest({ cookie: ada })))
    for (const other of others) expect(await other.receivedUntil('\r\n\r\n')).toContain('429')
    await open(app.wsUrl, { cookie: grace })
    gate.open()
    expect(await first.receivedUntil('\r\n\r\n')).toContain('101')
  })

  it('are looked at by authenticate(), which takes no place', async () => {
    const app = await startApp({ bridge: { maxSocketsPerSession: 1 } })
    app.app.get('/check', async (request, response) => {
      const { accepted } = await app.bridge.authenticate(request)
      response.json(accepted)
    })
    const cookie = await app.login('ada')
    const check = async (): Promise<unknown> => (await app.call('GET', '/check', cookie)).json()
    expect([await check(), await check()]).toEqual([true, true])
    await open(app.wsUrl, { cookie })
    expect(await check()).toBe(false)
    expect(app.refusals).toEqual([{ reason: 'too-many-sockets', status: 429 }])
  })
})
