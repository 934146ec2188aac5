/*
 * A client's end of a WebSocket, with as little of its own as can be.
 */
import { connect, type Socket } from 'node:net'

import { cookieOf } from './sessions.js'

export interface OpenOptions {
  readonly port: number
  /** Whose session. */
  readonly index: number
  /** Socket.IO has a path and a handshake of its own. */
  readonly socketIO?: boolean | undefined
}

/** Some other answer than a 101. */
export class RefusedError extends Error {}

/** Resolves when the server has let it in. */
export function open({ port, index, socketIO = false }: OpenOptions): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.setNoDelay(true)
  socket.write(upgradeOf(port, socketIO ? '/socket.io/?EIO=4&transport=websocket' : '/', index), 'latin1')
  return new Promise((resolve, reject) => {
    let received = ''
    const hear = (data: Buffer): void => {
      received += data.toString('latin1')
      if (!received.includes('\r\n\r\n')) return
      if (!received.startsWith('HTTP/1.1 101')) {
        socket.destroy()
        reject(new RefusedError(received.split('\r\n', 1)[0]))
        return
      }
      if (socketIO && !received.includes('40{')) {
        // Its server says first, in a frame, that it is one.
        if (received.endsWith('}')) socket.write(frameOf('40'))
        return
      }
      socket.off('data', hear)
      socket.off('error', reject)
      socket.on('error', () => undefined)
      resolve(socket.resume())
    }
    socket.on('error', reject)
    socket.on('data', hear)
    socket.once('close', () => {
      reject(new Error('The connection closed before an answer.'))
    })
  })
}

/** A client's text frame. The mask is nought: there is nothing to hide here. */
export function frameOf(text: string): Buffer {
  const payload = Buffer.from(text)
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload])
}

function upgradeOf(port: number, target: string, index: number): string {
  const lines = [
    `GET ${target} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    `Origin: http://127.0.0.1:${port}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    `Cookie: ${cookieOf(index)}`,
  ]
  return `${lines.join('\r\n')}\r\n\r\n`
}
