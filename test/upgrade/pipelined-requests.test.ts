import { describe, expect, it } from 'vitest'
import type { SessionBridgeOptions } from 'ws-session-bridge'
import { startApp } from '../support/app.js'
import { createGate } from '../support/gate.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'
import { nextRefusal } from './held-handshake.js'
import { textFrame } from './raw-socket.js'

const slowRequest = 'GET /slow HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'

/** An app whose answer to `GET /slow` waits at a gate, with the first part of its body written. */
async function startSlow(bridge: Partial<SessionBridgeOptions> = {}) {
  const app = await startApp({ bridge })
  const gate = createGate()
  app.app.get('/slow', (_request, response) => {
    response.write('slow ')
    void gate.wait().then(() => response.end('answer'))
  })
  return { app, gate, cookie: await app.login('ada') }
}

describe('an upgrade that a client sends before an earlier request of its connection is answered', () => {
  it('is answered behind that answer, and loses no message', async () => {
    const { app, gate, cookie } = await startSlow()
    app.wss.on('connection', (ws) => {
      ws.on('message', (data: Buffer) => {
        ws.send(`heard ${data.toString()}`)
      })
    })
    const client = rawRequest(app.port, slowRequest + slowRequest + upgradeRequest({ cookie }) + textFrame('hello'))
    await client.receivedUntil('slow ')
    expect(app.bridge.stats()).toMatchObject({ pending: 1, accepted: 0 })
    gate.open()
    const received = await client.receivedUntil('heard hello')
    expect(received).toMatch(
      /^HTTP\/1\.1 200 [^]*answer[^]*HTTP\/1\.1 200 [^]*answer[^]*HTTP\/1\.1 101 [^]*heard hello$/,
    )
    expect(app.bridge.stats()).toMatchObject({ pending: 0, accepted: 1 })
  })

  it('is refused behind that answer, too', async () => {
    const { app, gate } = await startSlow()
    const client = rawRequest(app.port, slowRequest + upgradeRequest())
    await client.receivedUntil('slow ')
    gate.open()
    expect(await client.received()).toMatch(/^HTTP\/1\.1 200 [^]*answer[^]*HTTP\/1\.1 401 [^]*$/)
    expect(app.refusals).toEqual([{ reason: 'no-cookie', status: 401 }])
  })

  it('is cut when that answer takes longer than handshakeTimeoutMs, with nothing written into it', async () => {
    const { app, cookie } = await startSlow({ handshakeTimeoutMs: 200 })
    const client = rawRequest(app.port, slowRequest + upgradeRequest({ cookie }))
    expect(await client.received()).toMatch(/^HTTP\/1\.1 200 [^]*slow \r\n$/)
    expect(app.refusals).toEqual([{ reason: 'timeout', status: 503 }])
    expect(app.bridge.stats().pending).toBe(0)
  })

  it('is cut at once where it is malformed or for a path that is not there', async () => {
    const { app } = await startSlow()
    for (const broken of [{ method: 'POST' }, { path: '/nowhere' }]) {
      const refused = nextRefusal(app.bridge)
      const client = rawRequest(app.port, slowRequest + upgradeRequest(broken))
      expect(await client.received()).not.toMatch(/ 40[04] /)
      expect((await refused).status).toBeGreaterThanOrEqual(400)
    }
  })

  it('gives its place back when its client leaves meanwhile', async () => {
    const { app, cookie } = await startSlow()
    const refused = nextRefusal(app.bridge)
    const client = rawRequest(app.port, slowRequest + upgradeRequest({ cookie }))
    await client.receivedUntil('slow ')
    client.socket.destroy()
    expect((await refused).reason).toBe('client-gone')
    expect(app.bridge.stats().pending).toBe(0)
  })
})
