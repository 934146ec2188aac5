// Socket.IO with the middleware on its engine, and with express-socket.io-session, behind the bridge.
import type { Server as HttpServer } from 'node:http'
import type { Express } from 'express'
import session from 'express-session'
import { Server, type DefaultEventsMap } from 'socket.io'
import { createSessionBridge, type SessionBridge, type SessionBridgeOptions } from 'ws-session-bridge'
import { attachSocketIO, type SocketData } from 'ws-session-bridge/socket.io'

interface ClientEvents {
  whoami: (answer: (user: string | undefined) => void) => void
  count: () => void
}
type SessionSocketServer = Server<ClientEvents, DefaultEventsMap, DefaultEventsMap, SocketData>
type Options = SessionBridgeOptions['session']

export function migratedEngine(server: HttpServer, app: Express, sessionOptions: Options): SessionBridge {
  // #region docs
  const io: SessionSocketServer = new Server(server)
  app.use(session(sessionOptions))
  const bridge = createSessionBridge({
    session: sessionOptions,
    authorize: (session) => session.user !== undefined,
  })
  attachSocketIO(bridge, io)

  io.on('connection', (socket) => {
    const { context } = socket.data
    socket.on('whoami', (answer) => {
      answer(context.session.user)
    })
  })

  app.post('/logout', (request, response) => {
    request.session.destroy(() => {
      response.status(204).end()
    })
  })
  // #endregion
  return bridge
}

export function migratedMiddleware(server: HttpServer, app: Express, sessionOptions: Options): SessionBridge {
  // #region docs
  const io: SessionSocketServer = new Server(server)
  app.use(session(sessionOptions))
  const bridge = createSessionBridge({
    session: sessionOptions,
    authorize: (session) => session.user !== undefined,
  })
  attachSocketIO(bridge, io)

  io.on('connection', (socket) => {
    const { context } = socket.data
    socket.on('count', () => {
      context
        .update((draft) => {
          draft.views = (draft.views ?? 0) + 1
        })
        .catch(() => console.error('Not counted: the session has ended, or the store is unavailable.'))
    })
  })
  // #endregion
  return bridge
}
