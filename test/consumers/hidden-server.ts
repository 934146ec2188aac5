// A server for whoever would otherwise answer every upgrade.
// #region docs
import { createServer, type Server } from 'node:http'

/** A server that never listens. What is made for it gets the upgrades of one path, and sees no others. */
export function hiddenServer(server: Server, path: string): Server {
  const hidden = createServer()
  server.on('upgrade', (request, socket, head) => {
    if (request.url?.split('?')[0] === path) hidden.emit('upgrade', request, socket, head)
  })
  return hidden
}
// #endregion
