// A WebSocket that comes back by itself, until the server says that it makes no sense.
// #region docs
/** Logged out or expired, no longer allowed, disconnected on purpose, too many sockets: it would be refused again. */
const finalCodes = new Set([4401, 4403, 1008, 4429])

/**
 * `onMessage` gets the data of each message. `onEnd` gets a final code: show the login, or say why.
 * The pauses are random, so that the clients of a server that went down do not all come back in the same instant.
 */
export function reconnectingSocket(url, options) {
  const { onMessage, onEnd, firstPauseMs = 500, longestPauseMs = 30_000 } = options
  // A test brings its own.
  const { WebSocket = globalThis.WebSocket, setTimeout = globalThis.setTimeout } = options
  let socket
  let failures = 0
  let isClosed = false

  function connect() {
    if (isClosed) return
    socket = new WebSocket(url)
    socket.onmessage = ({ data }) => {
      // Not as soon as it opens: a server in trouble may let it in and close it at once.
      failures = 0
      onMessage(data)
    }
    socket.onclose = ({ code }) => {
      if (isClosed) return
      if (finalCodes.has(code)) return onEnd(code)
      setTimeout(connect, Math.random() * Math.min(longestPauseMs, firstPauseMs * 2 ** failures))
      failures += 1
    }
  }
  connect()

  return {
    /** False while there is no connection. */
    send(data) {
      if (socket.readyState !== WebSocket.OPEN) return false
      socket.send(data)
      return true
    },
    close() {
      isClosed = true
      socket.close()
    },
  }
}
// #endregion
