// a stream that ends with its session.
// #region docs
import type { RequestHandler } from 'express'
import type { SessionBridge, SessionContext } from 'ws-session-bridge'

/** `app.get('/events', serverSentEvents(bridge, (context, send) => …))` */
export function serverSentEvents(
  bridge: SessionBridge,
  onOpen: (context: SessionContext, send: (event: string, data: unknown) => void) => void,
): RequestHandler {
  return async (request, response) => {
    const verdict = await bridge.authenticate(request)
    // The client has left: there is no connection to answer on, and none that would end the stream.
    if (response.destroyed) return
    if (!verdict.accepted) return void response.sendStatus(verdict.refusal.status)
    const { context } = verdict
    if (context === undefined) return void response.sendStatus(401)

    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
    const send = (event: string, data: unknown): void => {
      response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
    }
    bridge.bind(context, {
      close(code, reason) {
        send('end', { code, reason })
        response.end()
      },
      terminate: () => response.destroy(),
      onClose: (listener) => response.on('close', listener),
    })
    if (context.ended === undefined) onOpen(context, send)
  }
}
// #endregion
