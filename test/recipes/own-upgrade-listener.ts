// An upgrade listener of one's own, and an endpoint that says who is logged in.
import type { Server } from 'node:http'
import type { Express } from 'express'
import type { WebSocketServer } from 'ws'
import type { SessionBridge } from 'ws-session-bridge'

// #region docs
export function listen(server: Server, app: Express, bridge: SessionBridge, wss: WebSocketServer): void {
  server.on('upgrade', (request, socket, head) => {
    if (request.url?.startsWith('/rooms/')) bridge.handleUpgrade(wss, request, socket, head)
    else socket.destroy()
  })
  app.get('/whoami', async (request, response) => {
    const verdict = await bridge.authenticate(request)
    if (verdict.accepted) response.json({ user: verdict.context?.session.user })
    else response.sendStatus(verdict.refusal.status)
  })
}
// #endregion
