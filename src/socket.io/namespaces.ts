/*
 * Every way into a namespace is for connections only that the bridge has let in.
 */
import type { Connection } from './connection.js'
import { guardSocket } from './guarded-socket.js'
import type { EngineSocket, IoNamespace, IoServer, IoSocket } from './internals.js'
import { withOwnPidOnly } from './recovery.js'

/** The connection of an Engine.IO socket that was let in. */
export type ConnectionOf = (conn: EngineSocket) => Connection | undefined

/** `onStranger` is told of an open connection that was not let in. */
export function guardNamespaces(
  io: IoServer,
  connectionOf: ConnectionOf,
  onStranger: (conn: EngineSocket) => void,
): void {
  const guard = (namespace: IoNamespace): void => {
    guardNamespace(namespace, connectionOf, onStranger)
  }
  for (const namespace of io._nsps.values()) guard(namespace)
  io.sockets.prependListener('new_namespace', guard)
}

function guardNamespace(
  namespace: IoNamespace,
  connectionOf: ConnectionOf,
  onStranger: (conn: EngineSocket) => void,
): void {
  const add = namespace._add.bind(namespace)
  const run = namespace.run.bind(namespace)
  const doConnect = namespace._doConnect.bind(namespace)
  /* Undefined for a socket that must not go on: the user's middlewares, or a recovery, may have taken their time. */
  const guarded = (socket: IoSocket): Connection | undefined => {
    const connection = connectionOf(socket.conn)
    if (connection === undefined || connection.isOver) {
      socket._cleanup()
      return undefined
    }
    guardSocket(socket, connection)
    return connection
  }
  const guards: IoNamespace = {
    async _add(client, auth, connected) {
      const connection = connectionOf(client.conn)
      if (connection === undefined) onStranger(client.conn)
      else if (!connection.isOver) await add(client, withOwnPidOnly(auth, connection.context), connected)
    },
    run(socket, done) {
      if (guarded(socket) !== undefined) run(socket, done)
    },
    // A recovered socket comes here straight away, without any middleware.
    _doConnect(socket, connected) {
      const connection = guarded(socket)
      if (connection === undefined) return
      connection.sockets.add(socket)
      doConnect(socket, connected)
    },
  }
  Object.assign(namespace, guards)
}
