// another way to a server, on which a test can freeze or cut connections, and change what is said.
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { Transform } from 'node:stream'
import { atEnd } from '../support/at-end.js'

type Rewrite = (text: string) => string

export async function startProxy(to: number) {
  const sockets = new Set<Socket>()
  const rewrite: { request: Rewrite; response: Rewrite } = { request: (text) => text, response: (text) => text }
  const through = (which: keyof typeof rewrite) =>
    new Transform({
      transform(chunk: Buffer, _encoding, done) {
        done(null, Buffer.from(rewrite[which](chunk.toString('latin1')), 'latin1'))
      },
    })
  const server = createServer((socket) => {
    const beyond = connect(to, '127.0.0.1')
    for (const end of [socket, beyond]) {
      sockets.add(end)
      end.on('error', () => undefined)
      end.on('close', () => {
        socket.destroy()
        beyond.destroy()
      })
    }
    socket.pipe(through('request')).pipe(beyond).pipe(through('response')).pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return {
    port: (server.address() as AddressInfo).port,
    /** Both ends of the connections that are open now stay open, and nothing gets through any longer. */
    freeze() {
      for (const socket of sockets) socket.unpipe().pause()
    },
    /** Ends the connections that are open now. */
    cut() {
      for (const socket of sockets) socket.destroy()
      sockets.clear()
    },
    /** From now on, Redis' answer to CLIENT TRACKING is this error; `undefined`: its own. */
    answerTracking(error: string | undefined) {
      rewrite.request = (text) => (error === undefined ? text : text.replaceAll('TRACKING', 'TRACKINX'))
      rewrite.response = (text) =>
        error === undefined ? text : text.replace(/-ERR unknown subcommand 'TRACKINX'[^\r]*/i, `-${error}`)
    },
  }
}
