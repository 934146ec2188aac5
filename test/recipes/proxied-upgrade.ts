// Upgrades that are authenticated here and served by another process.
// #region docs
import { STATUS_CODES, type IncomingMessage, type Server } from 'node:http'
import { connect } from 'node:net'
import type { SessionBridge } from 'ws-session-bridge'

export function proxyUpgrades(server: Server, bridge: SessionBridge, upstream: { host: string; port: number }): void {
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy())
    void bridge.authenticate(request).then((verdict) => {
      if (socket.destroyed) return
      if (!verdict.accepted || verdict.context === undefined) {
        const status = verdict.accepted ? 401 : verdict.refusal.status
        socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
        socket.resume() // an unread socket does not see that its client leaves
        setTimeout(() => socket.destroy(), 1_000).unref() // and a client that does not leave is cut
        return
      }
      const { context } = verdict
      const target = connect(upstream)
      const cut = () => {
        socket.destroy()
        target.destroy()
      }
      target.on('error', cut).on('close', cut)
      socket.on('close', cut)
      target.write(requestHead(request, context.session.user ?? ''))
      target.write(head)
      target.pipe(socket).pipe(target)
      bridge.bind(context, { close: cut, onClose: (listener) => socket.on('close', listener) })
    })
  })
}

/** What the upstream gets: the user instead of the cookie. A client's own header of that name is dropped. */
function requestHead({ method, url, rawHeaders }: IncomingMessage, user: string): string {
  const names = rawHeaders.filter((_, index) => index % 2 === 0)
  const kept = names.map((name, index) => [name, rawHeaders[2 * index + 1]] as const)
  const headers = kept
    .filter(([name]) => !/^(?:cookie|x-user)$/i.test(name))
    .map(([name, value]) => `${name}: ${value}`)
  return [`${method} ${url} HTTP/1.1`, ...headers, `X-User: ${encodeURIComponent(user)}`, '', ''].join('\r\n')
}
// #endregion
