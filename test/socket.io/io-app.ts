// a Socket.IO server behind it, real clients, and raw polling requests.
import { once } from 'node:events'
import { Server, type DefaultEventsMap, type ServerOptions, type Socket } from 'socket.io'
import { io as connectClient, type ManagerOptions, type Socket as Client, type SocketOptions } from 'socket.io-client'
import type { SessionContext } from 'ws-session-bridge'
import { attachSocketIO, type SocketData } from 'ws-session-bridge/socket.io'
import { startApp, type App, type AppOptions } from '../support/app.js'
import { atEnd } from '../support/at-end.js'

export type Data = SocketData & { note?: string }
export type IoServer = Server<DefaultEventsMap, DefaultEventsMap, DefaultEventsMap, Data>
export type IoSocket = Socket<DefaultEventsMap, DefaultEventsMap, DefaultEventsMap, Data>
export type Transport = 'polling' | 'websocket'

export interface IoApp extends App {
  readonly io: IoServer
}

/** Every way to be connected, as clients are told to. */
export const transports: [string, Transport[]][] = [
  ['polling', ['polling']],
  ['websocket', ['websocket']],
  ['polling, upgraded to websocket', ['polling', 'websocket']],
]

export async function startIo(options: AppOptions = {}, io: Partial<ServerOptions> = {}): Promise<IoApp> {
  const app = await startApp(options)
  const server: IoServer = new Server(app.server, io)
  attachSocketIO(app.bridge, server)
  atEnd(() => server.engine.close())
  return { ...app, io: server }
}

export interface ClientOptions extends Partial<ManagerOptions & SocketOptions> {
  cookie?: string | undefined
  origin?: string
  namespace?: string
}

/** A real client, with the headers that a browser would send. It does not reconnect by itself. */
export function clientOf(app: Pick<App, 'url'>, options: ClientOptions = {}): Client {
  const { cookie, origin, namespace = '/', ...others } = options
  const extraHeaders = { ...(cookie === undefined ? {} : { cookie }), ...(origin === undefined ? {} : { origin }) }
  const client = connectClient(app.url + namespace, {
    transports: ['websocket'],
    reconnection: false,
    forceNew: true,
    extraHeaders,
    ...others,
  })
  atEnd(() => client.io.engine.close())
  return client
}

/** What a client sees of a refusal. */
export interface Refused {
  readonly message: string
  /** The status, by polling. */
  readonly description: unknown
  /** The answer's body, by polling: there is none once the event is over. */
  readonly body: string | undefined
}

type ConnectError = Error & { description?: unknown; context?: { responseText?: string } }

/** Resolves when the client is connected, to the same; rejects with its connect_error. */
export function connected(client: Client): Promise<Client> {
  if (client.connected) return Promise.resolve(client)
  return new Promise((resolve, reject) => {
    client.once('connect', () => resolve(client))
    client.once('connect_error', reject)
  })
}

/** Resolves to the connect_error of a client that must not be let in. */
export async function refused(client: Client): Promise<Refused> {
  return await new Promise((resolve, reject) => {
    client.once('connect_error', ({ message, description, context }: ConnectError) => {
      resolve({ message, description, body: context?.responseText })
    })
    client.once('connect', () => reject(new Error('The client was let in')))
  })
}

/** Resolves to the reason of the client's 'disconnect'. */
export function disconnected(client: Client): Promise<string> {
  return new Promise((resolve) => client.once('disconnect', resolve))
}

export interface Connected {
  readonly client: Client
  /** The server's end. */
  readonly socket: IoSocket
  readonly context: SessionContext
}

/** Connects, one client at a time; with both transports, until it has upgraded. */
export async function connectTo(app: IoApp, options: ClientOptions): Promise<Connected> {
  const namespace = app.io.of(options.namespace ?? '/')
  const connection = once(namespace, 'connection') as Promise<[IoSocket]>
  const client = clientOf(app, options)
  const [[socket]] = await Promise.all([connection, connected(client)])
  const { transport } = client.io.engine
  if (options.transports?.length === 2 && transport.name === 'polling') {
    await new Promise((resolve) => client.io.engine.once('upgrade', resolve))
  }
  return { client, socket, context: socket.data.context }
}

/** Takes the connection away under a client, without a word, as a network does. */
export async function drop({ client, socket }: Connected): Promise<void> {
  const gone = once(socket, 'disconnect')
  client.io.engine.close()
  await gone
}

/** A request as the polling transport makes it. */
export async function poll(
  app: Pick<App, 'url'>,
  query: string,
  init: RequestInit = {},
): Promise<{ status: number; body: string; headers: Headers }> {
  const response = await fetch(`${app.url}/socket.io/?EIO=4&transport=polling${query}`, init)
  return { status: response.status, body: await response.text(), headers: response.headers }
}

/** Opens a connection by polling alone; resolves to Engine.IO's session ID. */
export async function openByPolling(app: Pick<App, 'url'>, cookie?: string): Promise<string> {
  const { body } = await poll(app, '', { headers: cookie === undefined ? {} : { cookie } })
  return (JSON.parse(body.slice(1)) as { sid: string }).sid
}

/** A packet of Socket.IO's protocol, as the decoder hands it to a socket. */
export interface Packet {
  readonly type: number
  readonly data: readonly unknown[]
  readonly id?: number
}

/** Hands a packet to a socket as its client's connection does, a tick after it was decoded. */
export function receive(socket: IoSocket, packet: Packet): void {
  ;(socket as unknown as { _onpacket(packet: object): void })._onpacket({ ...packet, data: [...packet.data], nsp: '/' })
}
