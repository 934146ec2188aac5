/*
 * The client's side of an upgrade, without a port.
 */
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, Server } from 'node:http'
import { duplexPair, type Duplex } from 'node:stream'

import { WebSocket, type RawData } from 'ws'

import { assertWs } from '../internal/installed-version.js'

/** What the client sends. */
export interface ClientRequest {
  readonly url: URL
  readonly protocols: readonly string[]
  readonly headers: OutgoingHttpHeaders
  readonly remoteAddress: string
}

/** What came back: a 101, or an answer that has a body. */
export interface ClientAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A client before its answer. */
export interface Client {
  readonly ws: WebSocket
  readonly inbox: Inbox
  /** Rejects if the connection ends without an answer. */
  readonly answer: Promise<ClientAnswer>
  /** The other end of the connection, which the server has. */
  readonly serverSide: Duplex
}

/** Connects to a server as a client on the network would, but in memory. */
export function connect(server: Server, { url, protocols, headers, remoteAddress }: ClientRequest): Client {
  const [clientSide, serverSide] = duplexPair()
  const isEncrypted = url.protocol === 'wss:' || url.protocol === 'https:'
  // As a net.Socket and a TLSSocket have them.
  Object.assign(serverSide, { remoteAddress }, isEncrypted && { encrypted: true })
  // Node's documentation of http.Server's 'connection': any Duplex can be passed.
  server.emit('connection', serverSide)
  let isConnected = false as boolean
  const ws = new WebSocket(`ws://${url.host}${url.pathname}${url.search}`, [...protocols], {
    headers: { host: url.host, ...headers },
    createConnection: () => {
      isConnected = true
      return clientSide
    },
  })
  // 'close' tells the rest.
  ws.on('error', () => undefined)
  // Before 8.17, ws opens a connection of its own.
  if (!isConnected) {
    ws.terminate()
    clientSide.destroy()
  }
  assertWs('createTestBridge', '8.17', isConnected)
  return { ws, inbox: new Inbox(ws), answer: answerTo(ws), serverSide }
}

function answerTo(ws: WebSocket): Promise<ClientAnswer> {
  return new Promise((resolve, reject) => {
    let response: IncomingMessage | undefined
    ws.on('upgrade', (switching) => (response = switching))
    ws.on('open', () => {
      resolve({ status: 101, headers: response?.headers ?? {}, body: '' })
    })
    ws.on('unexpected-response', (_request, refusal) => {
      let body = ''
      refusal.setEncoding('utf8').on('data', (text: string) => (body += text))
      refusal.on('end', () => {
        resolve({ status: refusal.statusCode ?? 0, headers: refusal.headers, body })
        ws.terminate()
      })
    })
    ws.on('error', reject)
  })
}

/** The messages of a client, from the very first. */
export class Inbox {
  readonly closed: Promise<{ code: number; reason: string }>
  readonly #unread: string[] = []
  readonly #readers: { resolve(message: string): void; reject(error: Error): void }[] = []
  #end: Error | undefined

  constructor(ws: WebSocket) {
    ws.on('message', (data) => {
      const message = textOf(data)
      const reader = this.#readers.shift()
      if (reader === undefined) this.#unread.push(message)
      else reader.resolve(message)
    })
    this.closed = new Promise((resolve) => {
      ws.on('close', (code, reason) => {
        this.#end = new Error(`The socket closed with ${code} before another message came.`)
        for (const reader of this.#readers.splice(0)) reader.reject(this.#end)
        resolve({ code, reason: reason.toString() })
      })
    })
  }

  next(): Promise<string> {
    const message = this.#unread.shift()
    if (message !== undefined) return Promise.resolve(message)
    if (this.#end !== undefined) return Promise.reject(this.#end)
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }))
  }
}

function textOf(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString()
  return Buffer.isBuffer(data) ? data.toString() : Buffer.from(data).toString()
}
