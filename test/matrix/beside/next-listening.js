// Next in dev mode with its own upgrade listener on the server of the bridge, before the bridge's or after it.
import { createServer } from 'node:http'
import express from 'express'
import session, { MemoryStore } from 'express-session'
import next from 'next'
import { WebSocketServer } from 'ws'
import { createSessionBridge } from 'ws-session-bridge'

const sessionOptions = { store: new MemoryStore(), secret: 'change me', resave: false, saveUninitialized: false }
const app = express()
const server = createServer(app)
const wss = new WebSocketServer({ noServer: true })
const bridge = createSessionBridge({ session: sessionOptions, handshakeTimeoutMs: 3_000 })
wss.on('connection', (ws) => ws.send(`You are ${bridge.contextOf(ws).session.user}`))

if (process.env.ORDER === 'bridge first') bridge.attach(server, wss, { path: '/chat' })
const nextApp = next({ dev: true, dir: import.meta.dirname, httpServer: server })
await nextApp.prepare()
const handleRequest = nextApp.getRequestHandler()

app.use(session(sessionOptions))
app.post('/login/:user', (request, response) => {
  request.session.user = request.params.user
  response.send('Logged in.')
})
app.use((request, response) => {
  // Here Next adds its listener.
  handleRequest(request, response)
  if (server.listenerCount('upgrade') === 1 && process.env.ORDER === 'bridge last') {
    bridge.attach(server, wss, { path: '/chat' })
  }
})
server.listen(3000)

process.once('SIGTERM', async () => {
  await bridge.close()
  await nextApp.close()
  process.exit() // Next keeps its HMR sockets open, and server.close() would wait for them
})
