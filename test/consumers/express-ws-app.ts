// express-ws on them, behind the bridge.
// #region docs
import { createServer, type Server } from 'node:http'
import type { Application } from 'express'
import expressWs from 'express-ws'
import type { SessionBridge } from 'ws-session-bridge'

export function bridgedExpressWs(app: Application, server: Server, bridge: SessionBridge): expressWs.Instance {
  // It would let every client in: so it listens to a server that never gets an upgrade, and the real ones pass the bridge.
  const instance = expressWs(app, createServer())
  server.on('upgrade', (request, socket, head) => {
    bridge.handleUpgrade(instance.getWss(), request, socket, head)
  })
  return instance
}
// #endregion
