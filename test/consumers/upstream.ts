// What a proxy leads to: a server with a WebSocket that says what it was asked.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'vitest'
import { WebSocketServer } from 'ws'
import { atEnd } from '../support/at-end.js'
import { open } from '../support/client.js'

/** A server with WebSockets on every path. */
export async function startUpstream() {
  const server = createServer((_request, response) => response.end('upstream'))
  const wss = new WebSocketServer({ server })
  wss.on('connection', (ws, request) => {
    ws.send(`upstream: ${String(request.url)}`)
  })
  const close = () => {
    for (const ws of wss.clients) ws.terminate()
    server.close()
  }
  atEnd(close)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    target: `http://127.0.0.1:${port}`,
    close,
    async useSocket(wsUrl: string) {
      expect(await (await open(`${wsUrl}/api/socket`)).next()).toBe('upstream: /api/socket')
    },
  }
}
