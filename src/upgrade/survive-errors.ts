/*
 * Keeps an error of a raw socket from ending the process.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

/*
 * Node takes its own listeners off before it emits 'upgrade'. A socket without an `error` listener turns a client's reset into an
 * uncaught exception.
 */

/** Gives a socket an `error` listener. Nothing happens if it has this one already. */
export function surviveErrors(socket: Duplex): void {
  if (socket.listenerCount('error', ignore) === 0) socket.on('error', ignore)
}

/** The raw socket of an upgrade; undefined for any other request, whose socket is Node's, and for what is no request. */
export function upgradeSocketOf(request: IncomingMessage | undefined): Duplex | undefined {
  const { upgrade, socket } = (request ?? {}) as Partial<IncomingMessage> & { upgrade?: boolean }
  return upgrade === true && typeof socket?.on === 'function' ? socket : undefined
}

/** For a socket that is a WebSocket by now: ws has a listener of its own. */
export function leaveErrorsToWs(socket: Duplex): void {
  socket.off('error', ignore)
}

function ignore(): void {
  // The socket's 'close' follows, and tells the rest.
}
