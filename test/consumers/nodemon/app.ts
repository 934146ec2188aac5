// An app as nodemon starts it; it tells its port and a cookie.
import { once } from 'node:events'
import { createServer } from 'node:http'
import session, { MemoryStore } from 'express-session'
import { WebSocketServer } from 'ws'
import { createSessionBridge } from 'ws-session-bridge'
import { closeBeforeRestart } from './close-before-restart.js'

const sessionOptions = { store: new MemoryStore(), secret: 'a secret', resave: false, saveUninitialized: false }
const bridge = createSessionBridge({ session: sessionOptions })
const server = createServer()
bridge.attach(server, new WebSocketServer({ noServer: true }), { path: '/chat' })
closeBeforeRestart(bridge)

sessionOptions.store.set('one', { cookie: new session.Cookie(), user: 'ada' })
server.listen(0, '127.0.0.1')
await once(server, 'listening')
process.send!({ address: server.address(), cookie: bridge.signedCookie('one') })
