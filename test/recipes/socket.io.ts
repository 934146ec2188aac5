// A Socket.IO server that knows who is logged in.
import type { Server as HttpServer } from 'node:http'
import type { SessionBridge } from 'ws-session-bridge'

// #region docs
import { Server, type DefaultEventsMap } from 'socket.io'
import { attachSocketIO, type SocketData } from 'ws-session-bridge/socket.io'

interface ClientEvents {
  whoami: (answer: (user: string | undefined) => void) => void
}

export function serveSocketIO(server: HttpServer, bridge: SessionBridge) {
  const io = new Server<ClientEvents, DefaultEventsMap, DefaultEventsMap, SocketData>(server)
  attachSocketIO(bridge, io)

  io.on('connection', (socket) => {
    const { context } = socket.data
    socket.on('whoami', (answer) => answer(context.session.user)) // as it is now, at each event
    context.on('change', (session) => {
      if (session.role !== 'admin') void socket.leave('admins')
    })
  })
  return io
}
// #endregion
