// Routes of express-ws, behind the bridge.
import { createServer, type Server } from 'node:http'
import express, { type Application } from 'express'
import session from 'express-session'
import { createSessionBridge, type SessionBridge, type SessionBridgeOptions } from 'ws-session-bridge'
import { bridgedExpressWs } from '../consumers/express-ws-app.js'

export function migrated(
  sessionOptions: SessionBridgeOptions['session'],
  addLogin: (app: Application) => void,
): { server: Server; bridge: SessionBridge } {
  // #region docs
  const plain = express()
  const server = createServer(plain)
  const bridge = createSessionBridge({
    session: sessionOptions,
    authorize: (session) => session.user !== undefined,
  })
  const { app } = bridgedExpressWs(plain, server, bridge)
  app.use(session(sessionOptions))
  addLogin(app)
  app.ws('/chat', (ws) => {
    const context = bridge.contextOf(ws)
    ws.on('message', () => ws.send(`You are ${context?.session.user}`))
  })
  // #endregion
  return { server, bridge }
}
