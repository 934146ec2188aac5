// http-proxy-middleware before an app with the bridge, under another host name.
// #region docs
import { createProxyMiddleware } from 'http-proxy-middleware'

export function proxyToApp(target: string) {
  return createProxyMiddleware({
    target,
    changeOrigin: true, // the app gets its own name in Host, and the page's name nowhere
    xfwd: true, // X-Forwarded-Proto: wss, for secure cookies
    on: {
      proxyReqWs(proxyReq, request) {
        proxyReq.setHeader('X-Forwarded-Host', request.headers.host ?? '')
      },
    },
  })
}
// #endregion
