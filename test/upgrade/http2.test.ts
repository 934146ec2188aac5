import { once } from 'node:events'
import { createSecureServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { startApp } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { makeCertificate } from '../support/certificate.js'
import { open, refused } from '../support/client.js'

describe('attach() on a server of node:http2 that allows HTTP/1', () => {
  it('lets in and refuses as on one of node:https', async () => {
    const app = await startApp()
    const { key, cert } = await makeCertificate()
    const server = createSecureServer({ key, cert, allowHTTP1: true })
    app.bridge.attach(server, app.wss, { path: '/ws' })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    atEnd(() => server.close())
    const url = `wss://127.0.0.1:${(server.address() as AddressInfo).port}/ws`
    const { ws } = await open(url, { cookie: await app.login('ada'), ca: cert })
    expect(ws.readyState).toBe(ws.OPEN)
    expect((await refused(url, { ca: cert })).status).toBe(401)
  })
})
