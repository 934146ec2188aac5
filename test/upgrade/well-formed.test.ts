import { IncomingMessage } from 'node:http'
import { describe, expect, it, vi } from 'vitest'
import { startApp, type App } from '../support/app.js'
import { rawRequest, upgradeRequest, type UpgradeRequestOptions } from '../support/raw-request.js'
import { textFrame } from './raw-socket.js'

/** An app that takes every path, a login, and a count of the store's calls. */
async function startCounted() {
  const app = await startApp({ mount: {} })
  const cookie = await app.login('ada')
  return { app, cookie, get: vi.spyOn(app.store, 'get') }
}

async function answerTo({ port }: App, bytes: string): Promise<string> {
  return rawRequest(port, bytes).receivedUntil('\r\n\r\n')
}

const malformed: Record<string, UpgradeRequestOptions> = {
  'another method': { method: 'POST' },
  'another protocol': { headers: { Upgrade: 'h2c' } },
  'a list of protocols': { headers: { Upgrade: 'websocket, h2c' } },
  'two Upgrade headers': { headers: { Upgrade: ['websocket', 'websocket'] } },
  'no key': { headers: { 'Sec-WebSocket-Key': undefined } },
  'an empty key': { headers: { 'Sec-WebSocket-Key': '' } },
  'a short key': { headers: { 'Sec-WebSocket-Key': 'c2hvcnQ=' } },
  'two keys': { headers: { 'Sec-WebSocket-Key': ['dGhlIHNhbXBsZSBub25jZQ==', 'dGhlIHNhbXBsZSBub25jZQ=='] } },
  'no version': { headers: { 'Sec-WebSocket-Version': undefined } },
  'version 8, which ws would take': { headers: { 'Sec-WebSocket-Version': '8' } },
  'version 12': { headers: { 'Sec-WebSocket-Version': '12' } },
  'a version that only counts as 13': { headers: { 'Sec-WebSocket-Version': '13.0' } },
  'a body': { headers: { 'Content-Length': '5' } },
  'a body in chunks': { headers: { 'Transfer-Encoding': 'chunked' } },
  'an empty subprotocol': { headers: { 'Sec-WebSocket-Protocol': 'a,,b' } },
  'a subprotocol that is no token': { headers: { 'Sec-WebSocket-Protocol': 'a b' } },
  'a subprotocol named twice': { headers: { 'Sec-WebSocket-Protocol': 'a, b, a' } },
  'the target //[': { path: '//[' },
  'the target *': { path: '*' },
  'a target with a fragment': { path: '/ws#part' },
}

describe('an upgrade that is not well formed', () => {
  it.each(Object.entries(malformed))('is refused with 400 before any store call: %s', async (_what, broken) => {
    const { app, cookie, get } = await startCounted()
    const answer = await answerTo(app, upgradeRequest({ ...broken, cookie }))
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toMatch(/\r\nSec-WebSocket-Version: 13\r\n/)
    expect(get).not.toHaveBeenCalled()
    expect(app.refusals).toEqual([{ reason: 'bad-request', status: 400 }])
    expect(app.bridge.stats().pending).toBe(0)
  })

  it('is refused with 400 in HTTP/1.0', async () => {
    const { app, cookie, get } = await startCounted()
    const request = upgradeRequest({ cookie }).replace('HTTP/1.1', 'HTTP/1.0')
    expect(await answerTo(app, request)).toMatch(/^HTTP\/1\.1 400 /)
    expect(get).not.toHaveBeenCalled()
  })

  it.each(['http://[', 'http://', 'ftp://127.0.0.1/ws', 'xhttp://127.0.0.1/ws', 'ws'])(
    'is refused with 400 for the target %s',
    async (path) => {
      const { app, cookie, get } = await startCounted()
      expect(await answerTo(app, upgradeRequest({ path, cookie }))).toMatch(/^HTTP\/1\.1 400 /)
      expect(get).not.toHaveBeenCalled()
    },
  )

  it('is refused with 400 when a listener hands it on without the token in Connection', async () => {
    const { app, cookie, get } = await startCounted()
    app.server.removeAllListeners('upgrade').on('upgrade', (request: IncomingMessage, socket, head) => {
      request.headers.connection = 'keep-alive, upgraded'
      app.bridge.handleUpgrade(app.wss, request, socket, head)
    })
    expect(await answerTo(app, upgradeRequest({ cookie }))).toMatch(/^HTTP\/1\.1 400 /)
    expect(get).not.toHaveBeenCalled()
  })
})

const unusual: Record<string, UpgradeRequestOptions> = {
  'capital letters': { headers: { Upgrade: 'WebSocket', Connection: 'UPGRADE' } },
  'several tokens in Connection': { headers: { Connection: 'keep-alive , Upgrade' } },
  'two Connection headers': { headers: { Connection: ['keep-alive', 'Upgrade'] } },
  'a body of length 0': { headers: { 'Content-Length': '0' } },
  'a list of subprotocols': { headers: { 'Sec-WebSocket-Protocol': 'a, b' } },
  'an absolute target': { path: 'http://127.0.0.1/ws?x=1' },
  'an absolute target without a path': { path: 'ws://127.0.0.1' },
  'a path that looks like a host': { path: '//evil.test/chat' },
}

describe('an upgrade that is unusual, but well formed', () => {
  it.each(Object.entries(unusual))('opens: %s', async (_what, options) => {
    const { app, cookie } = await startCounted()
    expect(await answerTo(app, upgradeRequest({ ...options, cookie }))).toMatch(/^HTTP\/1\.1 101 /)
  })

  it('opens with frames right behind it, which are no body', async () => {
    const { app, cookie } = await startCounted()
    const first = new Promise((resolve) => {
      app.wss.on('connection', (ws) => ws.once('message', (data: Buffer) => resolve(data.toString())))
    })
    rawRequest(app.port, upgradeRequest({ cookie }) + textFrame('early'))
    expect(await first).toBe('early')
  })
})
