/*
 * The streams that ws's createWebSocketStream has made of a socket.
 */
import { Duplex } from 'node:stream'

import type { WebSocket } from 'ws'

type Listener = (...args: unknown[]) => unknown
type OnceListener = Listener & { readonly listener?: Listener }

/**
 * Ends the readable side of every stream over this socket: what it has buffered is not delivered. The socket itself goes on, so
 * that its close frame is sent.
 */
export function endStreamsOf(ws: WebSocket): void {
  if (ws.listenerCount('message') === 0) return
  for (const { listener } of ws.rawListeners('error') as OnceListener[]) {
    if (listener === undefined || !isOfStream(listener)) continue
    ws.off('error', listener)
    const stream = streamBehind(listener)
    if (stream !== undefined) end(stream)
  }
}

/* ws's own source (lib/stream.js), also where a bundler has kept it. */
function isOfStream(listener: Listener): boolean {
  const source = Function.prototype.toString.call(listener)
  return listener.name === 'error' && /\.destroyed\b[^]*terminateOnDestroy\s*=/.test(source)
}

/*
 * A stream hangs on its socket by three listeners, and nothing else leads to it. The one for 'error' destroys the stream, so for
 * the time of that call, in which nothing else can run, `destroy` only tells which stream it is called for.
 */
function streamBehind(listener: Listener): Duplex | undefined {
  const streams: Duplex[] = []
  const destroy = function (this: Duplex): Duplex {
    streams.push(this)
    return this
  }
  const own = Object.getOwnPropertyDescriptor(Duplex.prototype, 'destroy')
  Object.defineProperty(Duplex.prototype, 'destroy', { value: destroy, configurable: true, writable: true })
  try {
    listener()
  } finally {
    if (own === undefined) Reflect.deleteProperty(Duplex.prototype, 'destroy')
    else Object.defineProperty(Duplex.prototype, 'destroy', own)
  }
  return streams[0]
}

/* A stream that is destroyed without an error goes on handing out what it has buffered. */
function end(stream: Duplex): void {
  Object.defineProperty(stream, 'read', { value: () => null, configurable: true, writable: true })
  stream.destroy()
}
