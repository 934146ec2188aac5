// another one that leads there, until its connections are frozen as by a firewall that forgot them.
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { atEnd } from '../support/at-end.js'

export async function startProxy(to: number) {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    const beyond = connect(to, '127.0.0.1')
    for (const end of [socket, beyond]) {
      sockets.add(end)
      end.on('error', () => undefined)
    }
    socket.pipe(beyond).pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return {
    port: (server.address() as AddressInfo).port,
    /** Both ends of the connections that are open now stand, and nothing comes through any more. */
    freeze() {
      for (const socket of sockets) socket.unpipe().pause()
    },
  }
}
