import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { startApp } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { upgradeRequest } from '../support/raw-request.js'

/* A key that both sides know in advance (RFC 4279): a real TLS socket, and no certificate to keep. */
const psk = randomBytes(32)
const encryption = { ciphers: 'PSK', maxVersion: 'TLSv1.2' } as const

async function startEncrypted() {
  const app = await startApp()
  const server = createServer({ ...encryption, pskCallback: () => psk })
  app.bridge.attach(server, app.wss, { path: '/ws' })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(() => server.close())
  const { port } = server.address() as AddressInfo
  const cookie = await app.login('ada')

  return async function status(host: string, origin: string): Promise<number> {
    const socket = connect({
      port,
      host: '127.0.0.1',
      ...encryption,
      pskCallback: () => ({ psk, identity: 'test' }),
      checkServerIdentity: () => undefined,
    })
    atEnd(() => socket.destroy())
    socket.write(upgradeRequest({ host, cookie, headers: { origin } }))
    const [head] = (await once(socket.setEncoding('latin1'), 'data')) as [string]
    socket.destroy()
    return Number(head.split(' ')[1])
  }
}

describe('origin, on an encrypted socket', () => {
  it('lets in the https page of the same host, with the default port or without', async () => {
    const status = await startEncrypted()
    expect(await status('app.test', 'https://app.test')).toBe(101)
    expect(await status('app.test:443', 'https://app.test')).toBe(101)
    expect(await status('app.test:8443', 'https://app.test:8443')).toBe(101)
  })

  it('refuses the http page of the same host, which anyone on the way may have written', async () => {
    const status = await startEncrypted()
    expect(await status('app.test', 'http://app.test')).toBe(403)
    expect(await status('app.test:8443', 'http://app.test:8443')).toBe(403)
    expect(await status('app.test:80', 'http://app.test')).toBe(403)
  })
})
