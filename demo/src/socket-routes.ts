/*
 * A line that breaks, on demand: what a tunnel or a restarted proxy does to a socket.
 */
import { Router } from 'express'
import type { SessionBridge } from 'ws-session-bridge'

import { socketOf } from './identity.js'

export function socketRoutes(bridge: SessionBridge): Router {
  return Router().post('/cut', (request, response) => {
    const { socket } = (request.body ?? {}) as { socket?: unknown }
    // One's own only: the name of a socket is no secret.
    for (const context of bridge.connections()) {
      if (context.sessionID === request.sessionID && socketOf(context) === socket) context.ws?.terminate()
    }
    response.json({})
  })
}
