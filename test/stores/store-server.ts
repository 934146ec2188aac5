// a way to a store's server that a test can close and open again.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { freePort } from '../support/redis-server.js'

export interface Way {
  /** Where the store finds its server. */
  readonly port: number
  /** Connections end, and none can be made, as if the server were gone. */
  close(): Promise<void>
  open(): Promise<void>
}

export async function wayTo(port: number): Promise<Way> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    if (!server.listening) {
      socket.destroy()
      return
    }
    const beyond = connect(port, '127.0.0.1')
    for (const [end, other] of [
      [socket, beyond],
      [beyond, socket],
    ] as const) {
      sockets.add(end)
      end.on('error', () => undefined)
      end.on('close', () => {
        sockets.delete(end)
        other.destroy()
      })
      end.pipe(other)
    }
  })
  const open = async (on: number) => {
    server.listen(on, '127.0.0.1')
    await once(server, 'listening')
  }
  // One that no other connection is given while it is closed.
  const way = await freePort()
  await open(way)
  return {
    port: way,
    async close() {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
    open: () => open(way),
  }
}
