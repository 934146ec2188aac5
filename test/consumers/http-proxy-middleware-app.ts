// http-proxy-middleware on the server of the app: /api, and its WebSockets, go to another server.
// #region docs
import type { Server } from 'node:http'
import type { Express } from 'express'
import { createProxyMiddleware } from 'http-proxy-middleware'

export function proxyApi(app: Express, server: Server, target: string): void {
  // Not app.use('/api', …): no upgrade passes app.use(), and the proxy would take all of them.
  const proxy = createProxyMiddleware({ target, pathFilter: '/api' })
  app.use(proxy)
  server.on('upgrade', proxy.upgrade)
}
// #endregion
