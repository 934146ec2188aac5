// a ws server of its own, on a port of its own, whose verifyClient asks the app's bridge; nothing is bound yet.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocketServer, type WebSocket } from 'ws'
import type { SessionContext } from 'ws-session-bridge'
import type { App } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { verifierOf } from './verify-client.js'

export interface VerifiedServer {
  readonly wss: WebSocketServer
  readonly port: number
  readonly url: string
  /** The next socket that the server opens, and what the bridge has found for it. */
  accepted(): Promise<{ ws: WebSocket; context: SessionContext }>
}

export async function startVerified({ bridge }: App): Promise<VerifiedServer> {
  const { verifyClient, contextOf } = verifierOf(bridge)
  const server = createServer()
  const wss = new WebSocketServer({ server, verifyClient })
  atEnd(() => {
    server.close()
    for (const ws of wss.clients) ws.terminate()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    wss,
    port,
    url: `ws://127.0.0.1:${port}`,
    accepted: () =>
      new Promise((resolve) => {
        wss.once('connection', (ws, request) => {
          resolve({ ws, context: contextOf(request)! })
        })
      }),
  }
}
