// the TCP connection they went over, and every byte that came back.
import { connect, type Socket } from 'node:net'
import { atEnd } from './at-end.js'

export interface RawRequest {
  readonly socket: Socket
  /** All that came, once the connection is closed; a reset closes it too. */
  received(): Promise<string>
  /** What has come, as soon as it contains `text`; rejects if the connection closes without it. */
  receivedUntil(text: string): Promise<string>
}

export interface RawRequestOptions {
  /** Keep the own side open after the server's FIN. Default false: answer it. */
  allowHalfOpen?: boolean
}

/** Connects to 127.0.0.1 and writes `bytes` (a string as latin1, one byte for each character). */
export function rawRequest(port: number, bytes: string | Uint8Array, options: RawRequestOptions = {}): RawRequest {
  const socket = connect({ port, host: '127.0.0.1', ...options })
  const forget = atEnd(() => socket.destroy())
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk))
  // A reset is an answer like another: `close` follows.
  socket.on('error', () => undefined)
  const closed = new Promise<void>((resolve) => {
    socket.on('close', () => {
      forget()
      resolve()
    })
  })
  if (typeof bytes === 'string') socket.write(bytes, 'latin1')
  else socket.write(bytes)

  return {
    socket,
    received: () => closed.then(() => text),
    receivedUntil(expected) {
      return new Promise((resolve, reject) => {
        const look = () => {
          if (!text.includes(expected)) return
          socket.off('data', look)
          resolve(text)
        }
        socket.on('data', look)
        look()
        void closed.then(() => {
          reject(new Error(`The connection closed without ${JSON.stringify(expected)}, after ${JSON.stringify(text)}`))
        })
      })
    },
  }
}

export interface UpgradeRequestOptions {
  method?: string
  /** The request target, as it stands on the first line. */
  path?: string
  host?: string
  cookie?: string
  /** Header lines to replace or add, whatever their case; a list makes several lines, `undefined` leaves one out. */
  headers?: Readonly<Record<string, string | readonly string[] | undefined>>
}

/** The text of a well-formed upgrade request, less what the options break. */
export function upgradeRequest(options: UpgradeRequestOptions = {}): string {
  const { method = 'GET', path = '/ws', host = '127.0.0.1', cookie, headers = {} } = options
  const lines = new Map<string, string | readonly string[] | undefined>([
    ['Host', host],
    ['Connection', 'Upgrade'],
    ['Upgrade', 'websocket'],
    ['Sec-WebSocket-Version', '13'],
    ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='],
    ['Cookie', cookie],
  ])
  for (const [name, value] of Object.entries(headers)) {
    const known = [...lines.keys()].find((other) => other.toLowerCase() === name.toLowerCase())
    lines.set(known ?? name, value)
  }
  const head = [...lines].flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().map((single) => `${name}: ${single}`),
  )
  return [`${method} ${path} HTTP/1.1`, ...head, '', ''].join('\r\n')
}
