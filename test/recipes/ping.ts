// sockets that no proxy takes for dead, and none of clients that are.
// #region docs
import type { WebSocket, WebSocketServer } from 'ws'

/** Pings every socket, and cuts those that have not answered the ping before. Less than half of the proxy's timeout is safe. */
export function pingEvery(wss: WebSocketServer, everyMs = 25_000) {
  const answered = new WeakSet<WebSocket>()
  wss.on('connection', (ws) => {
    answered.add(ws)
    ws.on('pong', () => answered.add(ws))
  })
  const timer = setInterval(() => {
    for (const ws of wss.clients) {
      if (answered.delete(ws)) ws.ping()
      else ws.terminate()
    }
  }, everyMs)
  timer.unref()
  return () => clearInterval(timer)
}
// #endregion
