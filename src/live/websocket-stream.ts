/*
 * The streams that ws's createWebSocketStream has made of a socket.
 */
import type { WebSocket } from 'ws'

type Listener = ((...args: unknown[]) => unknown) & { readonly listener?: (...args: unknown[]) => unknown }

/**
 * Ends the readable side of every stream over this socket: what it has buffered is not delivered.
 *
 * A stream hangs on its socket by three listeners only, and nothing else leads to it. The one for 'error' destroys it; called
 * without an error, it does so without one. The socket itself goes on, so that its close frame is sent.
 */
export function endStreamsOf(ws: WebSocket): void {
  if (ws.listenerCount('message') === 0) return
  for (const raw of ws.rawListeners('error') as Listener[]) {
    const { listener } = raw
    if (listener === undefined || !isOfStream(listener)) continue
    ws.off('error', listener)
    listener()
  }
}

/* ws's own source (lib/stream.js), also where a bundler has kept it. */
function isOfStream(listener: (...args: unknown[]) => unknown): boolean {
  return (
    listener.name === 'error' &&
    /\.destroyed\b[^]*terminateOnDestroy\s*=/.test(Function.prototype.toString.call(listener))
  )
}
