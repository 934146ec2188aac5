// an open WebSocket whose messages wait to be read, or what refused it.
import { once } from 'node:events'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { WebSocket, type RawData } from 'ws'
import { atEnd } from './at-end.js'

export interface UpgradeOptions {
  cookie?: string | undefined
  origin?: string | undefined
  protocols?: string | readonly string[]
  headers?: Readonly<Record<string, string>>
  /** What verifies the certificate of a `wss:` address. */
  ca?: string
}

export interface Client {
  readonly ws: WebSocket
  /** The next message that was not read yet; rejects if the socket closes before there is one. */
  next(): Promise<string>
  readonly closed: Promise<{ code: number; reason: string }>
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export class RefusedError extends Error {
  override name = 'RefusedError'
  readonly status: number
  readonly answer: Answer

  constructor(answer: Answer) {
    super(`The upgrade was refused with ${answer.status}`)
    this.status = answer.status
    this.answer = answer
  }
}

/** Opens a WebSocket; rejects with a RefusedError where the answer is no 101. */
export async function open(url: string, options: UpgradeOptions = {}): Promise<Client> {
  const { cookie, origin, protocols = [], headers, ca } = options
  const ws = new WebSocket(url, typeof protocols === 'string' ? protocols : [...protocols], {
    headers: { ...(cookie === undefined ? {} : { cookie }), ...(origin === undefined ? {} : { origin }), ...headers },
    ...(ca === undefined ? {} : { ca }),
  })
  const forget = atEnd(() => {
    ws.terminate()
  })
  ws.on('close', forget)
  const client = { ws, ...inbox(ws) }
  await opened(ws)
  return client
}

/** The HTTP answer to an upgrade that is expected to be refused. */
export async function refused(url: string, options?: UpgradeOptions): Promise<Answer> {
  try {
    await open(url, options)
  } catch (error) {
    if (error instanceof RefusedError) return error.answer
    throw error
  }
  throw new Error('The upgrade was accepted')
}

function opened(ws: WebSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    ws.on('open', resolve)
    ws.on('error', reject)
    ws.on('unexpected-response', (_request, response) => {
      answerOf(response).then((answer) => {
        reject(new RefusedError(answer))
      }, reject)
    })
  })
}

async function answerOf(response: IncomingMessage): Promise<Answer> {
  let body = ''
  response.setEncoding('utf8').on('data', (text: string) => (body += text))
  await once(response, 'end')
  return { status: response.statusCode ?? 0, headers: response.headers, body }
}

/** Listens from the very start: a server may send its first message along with the 101. */
function inbox(ws: WebSocket): Pick<Client, 'next' | 'closed'> {
  const unread: string[] = []
  const readers: { resolve(message: string): void; reject(error: Error): void }[] = []
  let end: Error | undefined

  ws.on('message', (data) => {
    const message = textOf(data)
    const reader = readers.shift()
    if (reader) reader.resolve(message)
    else unread.push(message)
  })

  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    ws.on('close', (code, reason) => {
      end = new Error(`The socket closed with ${code} before another message`)
      for (const reader of readers.splice(0)) reader.reject(end)
      resolve({ code, reason: reason.toString() })
    })
  })

  return {
    closed,
    next() {
      const message = unread.shift()
      if (message !== undefined) return Promise.resolve(message)
      if (end) return Promise.reject(end)
      return new Promise((resolve, reject) => readers.push({ resolve, reject }))
    },
  }
}

function textOf(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString()
  return Buffer.isBuffer(data) ? data.toString() : Buffer.from(data).toString()
}
