// Next in dev mode on a server with the bridge.
// #region docs
import { createServer } from 'node:http'
import express from 'express'
import session, { MemoryStore } from 'express-session'
import next from 'next'
import { WebSocketServer } from 'ws'
import { createSessionBridge } from 'ws-session-bridge'

const sessionOptions = { store: new MemoryStore(), secret: 'change me', resave: false, saveUninitialized: false }
const app = express()
const server = createServer(app)

// Never listens: given the real one, Next would see every upgrade, and end those on paths of its pages.
const hidden = createServer()
const nextApp = next({ dev: true, dir: import.meta.dirname, httpServer: hidden })
await nextApp.prepare()
const handleRequest = nextApp.getRequestHandler()

app.use(session(sessionOptions))
app.post('/login/:user', (request, response) => {
  request.session.user = request.params.user // after you have checked a password
  response.send('Logged in.')
})
app.use((request, response) => handleRequest(request, response))

const wss = new WebSocketServer({ noServer: true, path: '/chat' })
const bridge = createSessionBridge({ session: sessionOptions })
wss.on('connection', (ws) => ws.send(`You are ${bridge.contextOf(ws).session.user}`))

server.on('upgrade', (request, socket, head) => {
  // Answers any path but /chat with 404.
  if (!request.url.startsWith('/_next/')) bridge.handleUpgrade(wss, request, socket, head)
  // Next listens from its first request on. Until then, its client has to try again.
  else if (!hidden.emit('upgrade', request, socket, head)) socket.destroy()
})
server.listen(3000)

process.once('SIGTERM', async () => {
  await bridge.close()
  await nextApp.close()
  process.exit() // Next keeps its HMR sockets open, and server.close() would wait for them
})
// #endregion
