// an app as pm2 runs it: Express, its sessions in files, a bridge on `clusterChannel()`; and one channel more, by HTTP.
import { once } from 'node:events'
import { renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import express from 'express'
import session from 'express-session'
import { WebSocketServer } from 'ws'
import { clusterChannel } from '../../src/cluster.js'
import { createSessionBridge } from '../../src/index.js'
import { openStore } from '../stores/open-store.js'
import { sessionRoutes } from '../support/session-routes.js'

const { FOLDER = '', NODE_APP_INSTANCE = '', CHANNEL, name = '' } = process.env
const { store } = await openStore('session-file-store with `retries: 0`', { folder: FOLDER, port: 0, prefix: '' })
const sessionOptions = { secret: 'a secret', resave: false, saveUninitialized: false, store }
const bridge = createSessionBridge({
  session: sessionOptions,
  channel: clusterChannel(),
  identify: (data) => data.user,
  // What is heard in a test was told on the channel.
  revalidateMs: 3_600_000,
})
const faults: string[] = []
bridge.on('fault', (fault) => faults.push(String(fault)))

const channel = clusterChannel(CHANNEL === undefined ? {} : { name: CHANNEL })
const messages: string[] = []
let gaps = 0
channel.subscribe(
  (message) => messages.push(message),
  () => {
    gaps += 1
  },
)

const app = express()
app.use(session(sessionOptions), sessionRoutes())
app.post('/publish', express.text({ limit: '10mb' }), (request, response) => {
  channel.publish(request.body as string).then(
    () => response.send('published'),
    (error: unknown) => response.send(String(error)),
  )
})
app.get('/channel', (_request, response) => response.json({ messages, gaps, faults }))
app.post('/disconnect', (request, response, next) => {
  bridge.everywhere.disconnect({ user: request.query.user as string }).then((answer) => response.json(answer), next)
})

const server = createServer(app)
bridge.attach(server, new WebSocketServer({ noServer: true }), { path: '/ws' })
// A port of its own: the workers of one primary share what they listen on.
server.listen({ port: 0, host: '127.0.0.1', exclusive: true })
await once(server, 'listening')
const { port } = server.address() as AddressInfo
// In one go, for whoever reads it meanwhile.
const file = join(FOLDER, `${name}-${NODE_APP_INSTANCE}.json`)
writeFileSync(`${file}.${process.pid}`, JSON.stringify({ port, pid: process.pid }))
renameSync(`${file}.${process.pid}`, file)
process.send?.('ready')
