// a process that lets a client in, reads a message, closes what it has opened, says so, and has nothing left to do.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import session from 'express-session'
import { WebSocket, WebSocketServer } from 'ws'
import { createSessionBridge } from '../../src/index.js'
import { sessionRoutes } from '../support/session-routes.js'
import { openStore, type Place, type StoreName } from './open-store.js'

const { name, place } = JSON.parse(process.argv[2] ?? '') as { name: StoreName; place: Place }
const { store, live, close } = await openStore(name, place)
const options = { store, secret: 'a secret', resave: false, saveUninitialized: false }
const bridge = createSessionBridge({ session: options, ...(live && { live }) })

const app = express()
app.use(session(options))
app.use(sessionRoutes())
const server = createServer(app)
bridge.attach(server, new WebSocketServer({ noServer: true }), {
  onConnection(ws, _request, context) {
    ws.on('message', () => {
      context.touch().then(
        () => {
          ws.send('touched')
        },
        () => {
          ws.terminate()
        },
      )
    })
  },
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const { port } = server.address() as AddressInfo

const response = await fetch(`http://127.0.0.1:${port}/login?name=ada`, {
  method: 'POST',
  headers: { connection: 'close' },
})
await response.text()
const cookie = response.headers.getSetCookie()[0]?.split(';', 1)[0] ?? ''
const ws = new WebSocket(`ws://127.0.0.1:${port}`, { headers: { cookie } })
await once(ws, 'open')
ws.send('hello')
await once(ws, 'message')

server.close()
await bridge.close()
await close()
process.send?.('closed')
process.disconnect()
