// webpack-dev-server with the bridge on its server.
// #region docs
import session, { MemoryStore } from 'express-session'
import webpack from 'webpack'
import WebpackDevServer from 'webpack-dev-server'
import { WebSocketServer } from 'ws'
import { createSessionBridge } from 'ws-session-bridge'

const sessionOptions = { store: new MemoryStore(), secret: 'change me', resave: false, saveUninitialized: false }
const wss = new WebSocketServer({ noServer: true })
const bridge = createSessionBridge({ session: sessionOptions })
wss.on('connection', (ws) => ws.send(`You are ${bridge.contextOf(ws).session.user}`))

const compiler = webpack({ mode: 'development', context: import.meta.dirname, entry: './page.js' })
const devServer = new WebpackDevServer(
  {
    port: 3000,
    setupMiddlewares(middlewares, { app }) {
      app.use(session(sessionOptions))
      app.post('/login/:user', (request, response) => {
        request.session.user = request.params.user // after you have checked a password
        response.end('Logged in.')
      })
      return middlewares
    },
    // Its own WebSocket has the path /ws.
    onListening: ({ server }) => bridge.attach(server, wss, { path: '/chat' }),
  },
  compiler,
)
await devServer.start()

process.once('SIGTERM', async () => {
  await bridge.close()
  await devServer.stop()
})
// #endregion
