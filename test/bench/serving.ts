/*
 * WebSocket servers that know who is connected: as they are written today, and with the bridge.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http'

import type { Request } from 'express'
import session, { type SessionData, type Store } from 'express-session'
import { Server as SocketIO } from 'socket.io'
import { WebSocketServer, type WebSocket } from 'ws'
import { createSessionBridge, type LiveStore, type SessionBridge, type SessionBridgeOptions } from 'ws-session-bridge'

import { askByHand, askMiddleware } from './asking.js'
import { sessionOptionsOf } from './sessions.js'

export type Kind = 'ws' | 'middleware' | 'by-hand' | 'bridge' | 'socket.io'

/** What each answers to a message: which user has sent it, as far as it looks. */
export type Reading = 'nothing' | 'session' | 'reload'

export interface ServingOptions {
  readonly kind: Kind
  readonly store: Store
  readonly live?: LiveStore | undefined
  readonly bridge?: Omit<SessionBridgeOptions, 'session' | 'live'> | undefined
  readonly rolling?: boolean | undefined
  readonly reading?: Reading | undefined
}

export interface Serving {
  readonly server: Server
  readonly bridge?: SessionBridge
}

/** Called with a user's socket, once it is open. */
type Opened = (ws: WebSocket, read: (answer: (user: unknown) => void) => void) => void

export function serve(settings: ServingOptions): Serving {
  const { kind, store, reading = 'nothing' } = settings
  const server = createServer()
  if (kind === 'socket.io') {
    serveSocketIO(server, store)
    return { server }
  }
  const opened: Opened = (ws, read) => {
    ws.on('error', ignore)
    ws.on('message', () => {
      if (reading === 'nothing') ws.send('ok')
      else read((user) => ws.send(String(user)))
    })
  }
  const wss = new WebSocketServer({ noServer: true })
  if (kind === 'bridge') return { server, bridge: serveBridge(server, wss, settings, opened) }
  if (kind === 'ws') {
    serveUpgrades(
      server,
      wss,
      (_request, accept) => {
        accept((answer) => {
          answer(undefined)
        })
      },
      opened,
    )
    return { server }
  }
  const ask = kind === 'middleware' ? askMiddleware(store) : askByHand(store)
  serveUpgrades(
    server,
    wss,
    (request, accept, refuse) => {
      ask(request, (found) => {
        if (found === undefined) refuse()
        else
          accept((answer) => {
            readAsToday(request as Request, found, reading, answer)
          })
      })
    },
    opened,
  )
  return { server }
}

/* The request or the record stays with the socket, as in every handler that reads its session. */
function readAsToday(request: Request, found: SessionData, reading: Reading, answer: (user: unknown) => void): void {
  if (reading === 'session') return answer(found.user)
  request.session.reload(() => {
    answer(request.session.user)
  })
}

function serveUpgrades(
  server: Server,
  wss: WebSocketServer,
  decide: (request: IncomingMessage, accept: (read: Parameters<Opened>[1]) => void, refuse: () => void) => void,
  opened: Opened,
): void {
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', ignore)
    decide(
      request,
      (read) => {
        socket.off('error', ignore)
        wss.handleUpgrade(request, socket, head, (ws) => {
          wss.emit('connection', ws, request)
          opened(ws, read)
        })
      },
      () => {
        socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n')
      },
    )
  })
}

function serveBridge(
  server: Server,
  wss: WebSocketServer,
  { store, live, bridge: options, rolling = false }: ServingOptions,
  opened: Opened,
): SessionBridge {
  const bridge = createSessionBridge({ ...options, session: { ...sessionOptionsOf(store), rolling }, live })
  bridge.attach(server, wss, {
    onConnection(ws, _request, context) {
      opened(ws, (answer) => {
        answer(context.session.user)
      })
    },
  })
  return bridge
}

/* As its documentation shows it. Pings would add to what an idle socket costs. */
function serveSocketIO(server: Server, store: Store): void {
  const io = new SocketIO(server, { transports: ['websocket'], serveClient: false, pingInterval: 3_600_000 })
  io.engine.use(session(sessionOptionsOf(store)))
  io.use((socket, next) => {
    const { session } = socket.request as Request
    if (session.user === undefined) next(new Error('unauthorized'))
    else next()
  })
  io.on('connection', (socket) => {
    socket.on('error', ignore)
  })
}

function ignore(): void {
  // The 'close' that follows says enough.
}
