// The example of ws, behind the bridge.
import { createServer, type Server } from 'node:http'
import express, { type Application } from 'express'
import session, { type SessionOptions, type Store } from 'express-session'
import { WebSocketServer } from 'ws'
import { createSessionBridge, type SessionBridge } from 'ws-session-bridge'

export function migrated(
  sessionOptions: SessionOptions & { store: Store },
  addLogin: (app: Application) => void,
): { server: Server; bridge: SessionBridge } {
  // #region docs
  const app = express()
  app.use(session(sessionOptions))
  addLogin(app)
  app.delete('/logout', (request, response) => {
    request.session.destroy(() => {
      response.send({ result: 'OK', message: 'Session destroyed' })
    })
  })

  const server = createServer(app)
  const wss = new WebSocketServer({ noServer: true })
  const bridge = createSessionBridge({
    session: sessionOptions,
    authorize: (session) => session.user !== undefined,
  })
  bridge.attach(server, wss, {
    onConnection(ws, _request, context) {
      ws.on('error', console.error)
      ws.on('message', (message: Buffer) => {
        ws.send(`${message.toString()} from ${context.session.user}`)
      })
    },
  })
  // #endregion
  return { server, bridge }
}
