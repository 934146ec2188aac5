// http-proxy on the server of the app.
// #region docs
import type { Server } from 'node:http'
import httpProxy from 'http-proxy'

export function proxyUpgrades(server: Server, target: string): void {
  const proxy = httpProxy.createProxyServer({ target })
  // Without a listener, a target that is down ends the process.
  proxy.on('error', (_error, _request, responseOrSocket) => responseOrSocket.destroy())
  server.on('upgrade', (request, socket, head) => {
    if (request.url?.startsWith('/api/')) proxy.ws(request, socket, head)
  })
}
// #endregion
