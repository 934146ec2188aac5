// an app whose next handshake waits there, and a raw request that has arrived there.
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { MemoryStore } from 'express-session'
import { vi } from 'vitest'
import type { Refusal, SessionBridge, SessionBridgeOptions } from 'ws-session-bridge'
import { startApp, type App } from '../support/app.js'
import { createGate, gatedStore, type Gate } from '../support/gate.js'
import { rawRequest, upgradeRequest, type RawRequest } from '../support/raw-request.js'
import { closing } from './raw-socket.js'

/** Every await between the upgrade and the 101. */
export const awaits = ['the call of the store', 'the answer of the store', 'authorize'] as const
export type Await = (typeof awaits)[number]

export interface HeldHandshake {
  readonly app: App
  readonly cookie: string
  readonly gate: Gate
  readonly client: RawRequest
  /** The server's end of the client's connection. */
  readonly socket: Socket
  /** Resolves after the server's end has told that it is closed. */
  readonly closed: Promise<void>
  /** Called with each 'connection' of the ws server. */
  readonly connected: ReturnType<typeof vi.fn>
}

/** An app, a user who is logged in, and the gate at which the next handshake will wait. */
export async function startGated(where: Await, bridge: Partial<SessionBridgeOptions> = {}) {
  const { store, hold } = gatedStore(new MemoryStore())
  const authorizing = createGate()
  const asked = where === 'authorize' ? { authorize: () => authorizing.wait().then(() => true) } : {}
  const app = await startApp({ store, bridge: { ...bridge, ...asked } })
  const cookie = await app.login('ada')
  const connected = vi.fn()
  app.wss.on('connection', connected)
  const gate = where === 'authorize' ? authorizing : hold('get', where === 'the call of the store' ? 'call' : 'answer')
  return { app, cookie, gate, hold, connected }
}

/** The same, with a raw upgrade that waits there already. */
export async function holdHandshake(where: Await, bridge?: Partial<SessionBridgeOptions>): Promise<HeldHandshake> {
  const { app, cookie, gate, connected } = await startGated(where, bridge)
  const connection = once(app.server, 'connection') as Promise<[Socket]>
  const client = rawRequest(app.port, upgradeRequest({ cookie }))
  const [socket] = await connection
  await gate.arrived
  return { app, cookie, gate, client, socket, closed: closing(socket), connected }
}

/** The next refusal that a bridge tells of. */
export async function nextRefusal(bridge: SessionBridge): Promise<Refusal> {
  const [refusal] = (await once(bridge, 'refuse')) as [Refusal]
  return refusal
}
