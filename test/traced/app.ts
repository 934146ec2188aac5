// a process in which connections come and go; its parent is told every session ID and signature there was.
import { subscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { MemoryStore, type SessionData } from 'express-session'
import { WebSocket, WebSocketServer } from 'ws'
import { createSessionBridge } from '../../src/index.js'

const sessionID = 'Zl8SRHuG2nMvUr3IhbEzFTCWD1kqPJ0x'
const store = new MemoryStore()
const bridge = createSessionBridge({
  session: { store, secret: 'a secret' },
  authorize: ({ user }) => {
    if (user === 'mallory') throw new Error(`${sessionID} is not welcome`)
    return user !== 'nobody'
  },
})
const server = createServer()
bridge.attach(server, new WebSocketServer({ noServer: true }), { path: '/chat' })
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const cookie = bridge.signedCookie(sessionID)

// An error in a subscriber is the process' affair, and none of the bridge's.
const thrown: string[] = []
subscribe('ws-session-bridge:accept', () => {
  throw new Error('a subscriber is broken')
})
process.on('uncaughtException', (error) => thrown.push(error.message))

function save(user: string): Promise<void> {
  return new Promise((resolve) => {
    store.set(sessionID, JSON.parse(JSON.stringify({ cookie: {}, user })) as SessionData, () => resolve())
  })
}

/** Resolves when the socket is open, or has been refused. */
async function connect(header: string, path = '/chat', origin?: string): Promise<WebSocket> {
  const { port } = server.address() as AddressInfo
  const ws = new WebSocket(`ws://127.0.0.1:${String(port)}${path}`, {
    headers: { cookie: header },
    ...(origin && { origin }),
  })
  ws.on('error', () => undefined)
  await new Promise((resolve) => ws.once('open', resolve).once('close', resolve))
  return ws
}

await save('nobody')
await connect(cookie)
await save('mallory')
await connect(cookie)
await save('ada')
await connect(cookie, `/chat?token=${sessionID}`, 'http://evil.test')
await connect(`${cookie}x`)
await connect(`connect.sid=${sessionID}`)
await connect(cookie, '/elsewhere')
const ws = await connect(cookie, `/chat?token=${sessionID}`)
const changed = once(bridge, 'change')
await bridge.update(sessionID, (draft) => void (draft.views = 1))
await changed
const closed = once(ws, 'close')
await bridge.destroy(sessionID)
await closed
await bridge.close()
server.close()
process.send?.({
  secrets: [sessionID, cookie.slice(cookie.lastIndexOf('.') + 1)],
  thrown,
  open: bridge.stats().accepted,
})
process.disconnect()
