import { EventEmitter, on, once } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import { createWebSocketStream, type WebSocket } from 'ws'
import { startApp, type App } from '../support/app.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'
import type { SessionContext } from 'ws-session-bridge'
import { connect, endOf } from './connected.js'

/** A text frame of a client, masked with zeros. */
function textFrame(text: string): string {
  return String.fromCharCode(0x81, 0x80 | text.length) + '\0\0\0\0' + text
}

/** A client's answer to a close frame. */
const closeFrame = '\x88\x82\0\0\0\0\x03\xe8'

const frames = (count: number) => Array.from({ length: count }, (_, index) => textFrame(`message ${index}`)).join('')

type Listen = (ws: WebSocket, heard: (text: string) => void) => void

/** Every way in which code gets at the messages of a socket. */
const ways: [string, Listen][] = [
  ["on('message')", (ws, heard) => void ws.on('message', (data: Buffer) => heard(data.toString()))],
  [
    "addEventListener('message')",
    (ws, heard) => ws.addEventListener('message', ({ data }) => heard((data as Buffer).toString())),
  ],
  ['onmessage', (ws, heard) => void (ws.onmessage = ({ data }) => heard((data as Buffer).toString()))],
  [
    'a stream',
    (ws, heard) => {
      createWebSocketStream(ws, { encoding: 'utf8' })
        .on('data', heard)
        .on('error', () => undefined)
    },
  ],
  [
    'async iteration',
    (ws, heard) => {
      const abort = new AbortController()
      ws.once('close', () => abort.abort())
      const listen = async (): Promise<void> => {
        for await (const [data] of on(ws, 'message', { signal: abort.signal }) as AsyncIterable<[Buffer]>) {
          heard(data.toString())
        }
      }
      listen().catch(() => undefined)
    },
  ],
]

interface Heard {
  readonly app: App
  readonly context: SessionContext
  readonly heard: string[]
  readonly client: ReturnType<typeof rawRequest>
}

/** A raw client that has been let in, and what the server hears of it. `act` is called with each message. */
async function listenBy(
  listen: Listen,
  act: (app: App, context: SessionContext, ws: WebSocket) => void,
): Promise<Heard> {
  const app = await startApp()
  const cookie = await app.login('ada')
  const heard: string[] = []
  app.wss.once('connection', (ws: WebSocket, _request: unknown, context: SessionContext) => {
    listen(ws, (text) => {
      heard.push(text)
      act(app, context, ws)
    })
  })
  const accepted = once(app.bridge, 'accept') as Promise<[SessionContext]>
  const client = rawRequest(app.port, upgradeRequest({ cookie }))
  const [context] = await accepted
  return { app, context, heard, client }
}

describe.each(ways)('after the end, what listens by %s', (_way, listen) => {
  it('hears nothing that the client goes on sending', async () => {
    const { app, context, heard, client } = await listenBy(listen, () => undefined)
    client.socket.write(frames(3), 'latin1')
    await vi.waitUntil(() => heard.length === 3, { interval: 2 })
    const closed = once(context.ws as WebSocket, 'close')
    app.bridge.disconnect(context.sessionID)
    client.socket.write(frames(20), 'latin1')
    await client.receivedUntil('disconnected')
    client.socket.write(frames(20) + closeFrame, 'latin1')
    await closed
    expect(heard).toHaveLength(3)
  })
})

describe.each(ways.slice(0, 3))('a burst of messages, heard by %s', (_way, listen) => {
  it('stops at the very message whose handler ends the socket', async () => {
    const { context, heard, client } = await listenBy(listen, (app, { sessionID }) => app.bridge.disconnect(sessionID))
    client.socket.write(frames(200), 'latin1')
    await client.receivedUntil('disconnected')
    expect(await endOf(context)).toMatchObject({ reason: 'disconnected' })
    expect(heard).toEqual(['message 0'])
  })

  it('stops at the end when a handler signs out', async () => {
    const late: string[] = []
    const { context, heard, client } = await listenBy(listen, (_app, at) => {
      if (at.ended !== undefined) late.push('after the end')
      else void at.destroy().catch(() => undefined)
    })
    client.socket.write(frames(50), 'latin1')
    await endOf(context)
    const before = heard.length
    client.socket.write(frames(50), 'latin1')
    const closed = once(context.ws as WebSocket, 'close')
    await client.receivedUntil('destroyed')
    client.socket.write(frames(50) + closeFrame, 'latin1')
    await closed
    expect(late).toEqual([])
    expect(heard).toHaveLength(before)
  })

  it('stops at the end for the other sockets of the session, too', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const { context } = await connect(app, cookie)
    const heard: string[] = []
    const accepted = once(app.bridge, 'accept') as Promise<[SessionContext, WebSocket]>
    const other = rawRequest(app.port, upgradeRequest({ cookie }))
    const [at, ws] = await accepted
    listen(ws, (text) => {
      heard.push(text)
      if (heard.length === 1) app.bridge.disconnect(context.sessionID)
    })
    other.socket.write(frames(200), 'latin1')
    await endOf(at)
    await endOf(context)
    expect(heard).toEqual(['message 0'])
  })
})

describe('a message that came in pieces', () => {
  it('is not delivered when the end came between them', async () => {
    const { app, context, heard, client } = await listenBy(ways[0]![1], () => undefined)
    const frame = textFrame('a message in two pieces')
    client.socket.write(frame.slice(0, 9), 'latin1')
    const closed = once(context.ws as WebSocket, 'close')
    app.bridge.disconnect(context.sessionID)
    client.socket.write(frame.slice(9) + closeFrame, 'latin1')
    await client.receivedUntil('disconnected')
    await closed
    expect(heard).toEqual([])
  })
})

describe('everything else of a socket that has ended', () => {
  it('is still told: its pings, its errors and its close', async () => {
    const { client, ws, context } = await connectPlainly()
    const told: string[] = []
    for (const event of ['ping', 'close'] as const) ws.on(event, () => told.push(event))
    ws.pause()
    context.app.bridge.disconnect(context.sessionID)
    client.ws.ping()
    ws.resume()
    await once(ws, 'close')
    expect(told).toContain('close')
  })

  it('goes on to whoever has wrapped its emit', async () => {
    const { client, ws, context } = await connectPlainly()
    const emit: EventEmitter['emit'] = ws.emit.bind(ws)
    const told: (string | symbol)[] = []
    Object.assign(ws, {
      emit(event: string | symbol, ...args: unknown[]) {
        told.push(event)
        return emit(event, ...args)
      },
    })
    const heard = vi.fn()
    ws.on('message', heard)
    context.app.bridge.disconnect(context.sessionID)
    client.ws.send('too late')
    await once(ws, 'close')
    expect(told).toContain('close')
    expect(told).not.toContain('message')
    expect(heard).not.toHaveBeenCalled()
  })

  async function connectPlainly() {
    const app = await startApp()
    const { client, ws, context } = await connect(app, await app.login('ada'))
    return { client, ws, context: { app, sessionID: context.sessionID } }
  }
})
