import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { startApp } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { upgradeRequest } from '../support/raw-request.js'
import { nextRefusal, startGated } from './held-handshake.js'
import { textFrame } from './raw-socket.js'

/* A key that both sides know in advance (RFC 4279): a real TLS socket, and no certificate to keep. */
const psk = randomBytes(32)
const encryption = { ciphers: 'PSK', maxVersion: 'TLSv1.2' } as const

/** An https server beside the app's own, on which its bridge is attached, too. */
async function listenEncrypted({ bridge, wss }: Awaited<ReturnType<typeof startApp>>) {
  const server = createServer({ ...encryption, pskCallback: () => psk })
  bridge.attach(server, wss, { path: '/ws' })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(() => server.close())
  return function request(bytes: string): TLSSocket {
    const socket = connect({
      port: (server.address() as AddressInfo).port,
      host: '127.0.0.1',
      ...encryption,
      pskCallback: () => ({ psk, identity: 'test' }),
      checkServerIdentity: () => undefined,
    })
    atEnd(() => socket.destroy())
    socket.on('error', () => undefined)
    socket.setEncoding('latin1').write(bytes, 'latin1')
    return socket
  }
}

async function allOf(socket: TLSSocket): Promise<string> {
  let text = ''
  for await (const chunk of socket) text += chunk as string
  return text
}

describe('an https server', () => {
  it('opens for a login, and its first message arrives', async () => {
    const app = await startApp()
    const request = await listenEncrypted(app)
    const first = new Promise((resolve) => {
      app.wss.on('connection', (ws) => ws.once('message', (data: Buffer) => resolve(data.toString())))
    })
    const socket = request(upgradeRequest({ cookie: await app.login('ada') }) + textFrame('early'))
    expect(await once(socket, 'data')).toEqual([expect.stringMatching(/^HTTP\/1\.1 101 /)])
    expect(await first).toBe('early')
  })

  it('refuses with the same whole answer as an http server', async () => {
    const app = await startApp()
    const request = await listenEncrypted(app)
    expect(await allOf(request(upgradeRequest()))).toMatch(/^HTTP\/1\.1 401 [^]*\r\n\r\nUnauthorized\n$/)
  })

  it.each(['resets the connection', 'closes its side'] as const)(
    'gives the place back when a client %s during the handshake',
    async (way) => {
      const { app, gate, cookie, connected } = await startGated('authorize')
      const request = await listenEncrypted(app)
      const refusal = nextRefusal(app.bridge)
      const socket = request(upgradeRequest({ cookie }))
      await gate.arrived
      if (way === 'closes its side') socket.end()
      else socket.destroy()
      expect(await refusal).toEqual({ reason: 'client-gone', status: 0 })
      gate.open()
      expect(app.bridge.stats().pending).toBe(0)
      expect(connected).not.toHaveBeenCalled()
    },
  )
})
