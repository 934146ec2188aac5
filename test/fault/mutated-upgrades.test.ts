import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import type { Authorize } from 'ws-session-bridge'
import { startApp } from '../support/app.js'
import { open } from '../support/client.js'
import { createGate } from '../support/gate.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'
import { textFrame } from '../upgrade/raw-socket.js'
import { createRandom, mutate, type Random } from './mutate.js'

/* UPGRADE_SEED=… repeats a run's bytes. */
const seed = Number(process.env.UPGRADE_SEED ?? randomInt(2 ** 31))
const rounds = 30
const clientsInARound = 50

/** How a client goes on: once it has sent its bytes, or once the handshakes of its round wait for their answer. */
const manners = ['closes', 'resets', 'closes late', 'resets late', 'waits', 'keeps its side open'] as const

interface Sender {
  readonly socket: Socket
  readonly manner: (typeof manners)[number]
}

function send(port: number, bytes: string, random: Random): Sender {
  const manner = manners[random.below(manners.length)]!
  const { socket } = rawRequest(port, bytes, { allowHalfOpen: manner === 'keeps its side open' })
  if (manner === 'closes') socket.end()
  if (manner === 'resets') socket.once('connect', () => socket.resetAndDestroy())
  return { socket, manner }
}

function leaveLate({ socket, manner }: Sender): void {
  if (manner === 'closes late') socket.end()
  if (manner === 'resets late') socket.resetAndDestroy()
}

/**
 * Lets nobody in until all of a round are there: an upgrade of /first comes behind those of a round, one of /second behind
 * what its clients did next.
 */
function createRound() {
  const first = createGate()
  const second = createGate()
  const authorize: Authorize = async (_session, _request, { url }) => {
    if (url === '/first') void first.wait()
    if (url === '/second') second.open()
    await second.wait()
    return true
  }
  return { authorize, firstIsThere: first.arrived }
}

async function gone(senders: readonly Sender[]): Promise<void> {
  for (const { socket } of senders) if (!socket.destroy().closed) await once(socket, 'close')
}

/** The connections that the server still has. */
function connectionsOf(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => {
      if (error) reject(error)
      else resolve(count)
    })
  })
}

describe(`${rounds * clientsInARound} upgrades with bytes changed, cut and added`, () => {
  it('crash nothing, leave nothing pending and nothing behind, and good clients get in throughout', async () => {
    console.log(`UPGRADE_SEED=${seed}`)
    const random = createRandom(seed)
    let round = createRound()
    const app = await startApp({ bridge: { authorize: (...asked) => round.authorize(...asked) }, mount: {} })
    app.wss.on('connection', (ws) => ws.on('message', (data: Buffer) => ws.send(data.toString())))
    const cookie = await app.login('ada')
    const wsUrl = app.url.replace('http', 'ws')
    const origin = app.url
    // The long header is where a change does no harm, so that some get through.
    const headers = { Origin: origin, 'Sec-WebSocket-Protocol': 'a, b', 'User-Agent': 'x'.repeat(600) }
    const good = upgradeRequest({ host: new URL(origin).host, cookie, headers }) + textFrame('hello')
    const listeners = app.server.listenerCount('upgrade')

    for (let count = 0; count < rounds; count += 1) {
      round = createRound()
      const senders = Array.from({ length: clientsInARound }, () => send(app.port, mutate(good, random), random))
      const first = open(`${wsUrl}/first`, { cookie })
      await round.firstIsThere
      senders.forEach(leaveLate)
      for (const client of await Promise.all([first, open(`${wsUrl}/second`, { cookie })])) {
        client.ws.send('still here')
        expect(await client.next()).toBe('still here')
        client.ws.close()
        await client.closed
      }
      await expect.poll(() => app.bridge.stats().pending, { interval: 2 }).toBe(0)
      await gone(senders)
    }

    // The login's own connection is kept alive.
    await expect.poll(() => connectionsOf(app.server), { interval: 5, timeout: 10_000 }).toBeLessThanOrEqual(1)
    await expect.poll(() => app.wss.clients.size, { interval: 5 }).toBe(0)
    const { accepted, refused, ...stats } = app.bridge.stats()
    expect(stats).toMatchObject({ pending: 0, sockets: 0, sessions: 0, faults: 0, ended: { closed: accepted } })
    expect(refused).toMatchObject({ timeout: 0, 'store-failed': 0, 'authorize-failed': 0, 'too-many-pending': 0 })
    expect(app.server.listenerCount('upgrade')).toBe(listeners)
    // The changes were worth the while: some clients were let in, some refused for this reason and some for that.
    expect(accepted).toBeGreaterThan(2 * rounds + 100)
    for (const reason of ['bad-request', 'origin-denied', 'bad-signature', 'client-gone'] as const) {
      expect(refused[reason]).toBeGreaterThan(0)
    }
  })
})
