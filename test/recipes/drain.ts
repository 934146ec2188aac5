// a readiness check, and what takes the node out of service without a lost request.
// #region docs
import { once } from 'node:events'
import type { Server } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import type { Express } from 'express'
import type { SessionBridge } from 'ws-session-bridge'

/**
 * To be called before `app.use(session(…))`, so that the balancer's checks need no session:
 * `process.once('SIGTERM', drainable(app, server, bridge))`.
 *
 * `noticedMs` is how long the balancer takes at the most to notice: its interval times the failures it waits for, and a little more.
 */
export function drainable(app: Express, server: Server, bridge: SessionBridge, noticedMs = 2_000) {
  let isReady = true
  app.get('/ready', (_request, response) => {
    response.sendStatus(isReady ? 200 : 503)
  })

  return async () => {
    isReady = false
    await pause(noticedMs) // from now on no new clients come here
    await bridge.close() // sockets are told 1001, and their clients go to another node
    server.close() // requests that are under way are answered
    await once(server, 'close')
  }
}
// #endregion
