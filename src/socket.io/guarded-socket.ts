/*
 * A socket of one namespace: it has its context, and hears nothing once that has ended.
 */
import type { SessionContext } from '../live/session-context.js'
import type { Connection } from './connection.js'
import type { IoSocket } from './internals.js'
import { markedPid } from './recovery.js'

/** EVENT and BINARY_EVENT of Socket.IO's protocol, the packets that a page sends of its own accord. */
const eventTypes: ReadonlySet<number> = new Set([2, 5])

const guarded = new WeakSet<IoSocket>()

/** Before the user's first middleware and listener; once for each socket. */
export function guardSocket(socket: IoSocket, connection: Connection): void {
  if (guarded.has(socket)) return
  guarded.add(socket)
  // A recovered one has the ID that it had.
  if (socket.recovered !== true && socket.pid !== undefined) socket.pid = markedPid(socket.pid, connection.context)
  keepContext(socket, connection.context)
  muteAtEnd(socket, connection)
}

/* Some replace the whole `socket.data`: the context is on what they put in its place. */
function keepContext(socket: IoSocket, context: SessionContext | undefined): void {
  // A copy: an adapter in memory recovers the very object that the socket before it still has.
  let data = withContext(socket.recovered === true ? { ...(socket.data as object) } : socket.data, context)
  Object.defineProperty(socket, 'data', {
    configurable: true,
    enumerable: true,
    get: () => data,
    set(value: unknown) {
      data = withContext(value, context)
    },
  })
}

/* Not enumerable: adapters keep `data` and send it to other nodes, and a context is at home here alone. */
function withContext(data: unknown, context: SessionContext | undefined): unknown {
  if (typeof data !== 'object' || data === null) return data
  return Object.defineProperty(data, 'context', { value: context, configurable: true })
}

/*
 * A packet passes four checks between the decoder and the listeners, three of them a tick or a user's middleware apart: the
 * session may end before any of them. The last one is `connected`: Socket.IO looks at it right before it calls a listener.
 */
function muteAtEnd(socket: IoSocket, connection: Connection): void {
  const onPacket = socket._onpacket.bind(socket)
  const onClose = socket._onclose.bind(socket)
  const use = socket.use.bind(socket)
  let { connected } = socket
  const guards: Partial<IoSocket> = {
    _onpacket(packet) {
      connection.deliver(() => {
        if (eventTypes.has(packet.type)) connection.tellMessage()
        onPacket(packet)
      })
    },
    use(middleware) {
      return use((event, next) => {
        if (connection.isOver) return
        // It may take its time, in which the session comes into doubt.
        middleware(event, (error) => {
          connection.deliver(() => {
            next(error)
          })
        })
      })
    },
    _onclose(reason, description) {
      connection.sockets.delete(socket)
      // Not a reason to recover from: whatever Socket.IO saw first, the bridge had ended it.
      const why = connection.hasEnded ? 'server namespace disconnect' : reason
      return connection.leave(() => onClose(why, description))
    },
  }
  Object.assign(socket, guards)
  Object.defineProperty(socket, 'connected', {
    configurable: true,
    enumerable: true,
    get: () => connected && (connection.isLeaving || !connection.isOver),
    set(value: boolean) {
      connected = value
    },
  })
}
