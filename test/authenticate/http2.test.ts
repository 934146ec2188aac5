import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { connect, createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import type { Verdict } from 'ws-session-bridge'
import { startApp } from '../support/app.js'
import { atEnd } from '../support/at-end.js'

/** What authenticate() says of a POST over HTTP/2, which has an Origin also where a page asks its own server. */
async function startHttp2() {
  const app = await startApp()
  const cookie = await app.login('ada')
  const server = createServer()
  let verdict: Promise<Verdict>
  server.on('request', (request, response) => {
    verdict = app.bridge.authenticate(request as unknown as IncomingMessage)
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(() => server.close())
  const { port } = server.address() as AddressInfo
  const client = connect(`http://127.0.0.1:${String(port)}`)
  atEnd(() => {
    client.destroy()
  })

  return async function verdictOn(origin: string): Promise<Verdict> {
    const headers = { ':method': 'POST', ':authority': 'app.test', ':path': '/', origin, cookie }
    const stream = client.request(headers, { endStream: true }).resume()
    await once(stream, 'end')
    return await verdict
  }
}

describe('authenticate(), of a request over HTTP/2', () => {
  it("compares the Origin with ':authority', which stands for Host there", async () => {
    const verdictOn = await startHttp2()
    expect(await verdictOn('http://app.test')).toMatchObject({ accepted: true, context: { session: { user: 'ada' } } })
    expect(await verdictOn('http://evil.test')).toMatchObject({ refusal: { reason: 'origin-denied' } })
  })
})
