/*
 * A TCP proxy before Redis that counts the invalidation messages to tracking connections.
 */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/* A push of RESP 3. Session data does not contain these bytes. */
const report = Buffer.from('>2\r\n$10\r\ninvalidate\r\n')

export class RedisTap {
  readonly url: string
  reports = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  static async open(url: string): Promise<RedisTap> {
    const { hostname, port } = new URL(url)
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new RedisTap(server, () => connect(Number(port || 6379), hostname), url)
  }

  private constructor(server: Server, connectToRedis: () => Socket, url: string) {
    this.#server = server
    const own = new URL(url)
    own.hostname = '127.0.0.1'
    own.port = String((server.address() as AddressInfo).port)
    this.url = own.href
    server.on('connection', (client) => {
      const redis = connectToRedis()
      for (const socket of [client, redis]) {
        this.#sockets.add(socket)
        socket.on('error', () => undefined)
        socket.once('close', () => {
          client.destroy()
          redis.destroy()
          this.#sockets.delete(socket)
        })
      }
      client.pipe(redis).pipe(client)
      redis.on('data', this.#counter())
    })
  }

  async close(): Promise<void> {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await once(this.#server, 'close')
  }

  /* A report may come in two pieces: what could be its beginning is kept. */
  #counter(): (data: Buffer) => void {
    let rest = Buffer.alloc(0)
    return (data) => {
      const all = Buffer.concat([rest, data])
      let from = 0
      for (let at = all.indexOf(report); at !== -1; at = all.indexOf(report, from)) {
        this.reports += 1
        from = at + report.length
      }
      rest = all.subarray(Math.max(from, all.length - report.length + 1))
    }
  }
}
