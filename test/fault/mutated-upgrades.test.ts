import { once } from 'node:events'
import type { Socket } from 'node:net'
import { Cookie } from 'express-session'
import { describe, expect, it } from 'vitest'
import type { Authorize, RefusalReason } from 'ws-session-bridge'
import { startApp } from '../support/app.js'
import { open } from '../support/client.js'
import { createGate } from '../support/gate.js'
import { createRandom, type Random } from '../support/random.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'
import { scaled, seedOf } from '../support/soak.js'
import { until } from '../live/bound.js'
import { textFrame } from '../upgrade/raw-socket.js'
import { watchLeftBehind } from './left-behind.js'
import { mutate } from './mutate.js'
import { watchTimeouts } from './open-timeouts.js'

const rounds = scaled(30, 2_000)
const clientsInARound = 50

/** How a client goes on: once it has sent its bytes, or once the handshakes of its round wait for their answer. */
const manners = ['closes', 'resets', 'closes late', 'resets late', 'waits', 'keeps its side open'] as const

interface Sender {
  readonly socket: Socket
  readonly manner: (typeof manners)[number]
}

function send(port: number, bytes: string, random: Random): Sender {
  const manner = random.one(manners)
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
 * Lets no client in until all of a round are there: an upgrade of /first comes behind those of a round, one of /second behind
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

describe(`${rounds * clientsInARound} upgrades with bytes changed, cut and added`, () => {
  it('crash nothing, leave nothing pending and nothing behind, and good clients get in throughout', async () => {
    const random = createRandom(seedOf('UPGRADE_SEED'))
    const timers = watchTimeouts()
    let round = createRound()
    const app = await startApp({
      // The rounds wait for each other: a handshake that hangs fails the test itself, and a busy machine no handshake.
      bridge: { authorize: (...asked) => round.authorize(...asked), handshakeTimeoutMs: 60_000 },
      mount: {},
    })
    app.wss.on('connection', (ws) => ws.on('message', (data: Buffer) => ws.send(data.toString())))
    app.store.set('ada', { cookie: new Cookie(), user: 'ada' })
    const cookie = app.bridge.signedCookie('ada')
    const wsUrl = app.url.replace('http', 'ws')
    const origin = app.url
    // The long header is where a change does no harm, so that some get through.
    const headers = { Origin: origin, 'Sec-WebSocket-Protocol': 'a, b', 'User-Agent': 'x'.repeat(600) }
    const good = upgradeRequest({ host: new URL(origin).host, cookie, headers }) + textFrame('hello')

    const roundOf = async (bytes: () => string) => {
      round = createRound()
      const senders = Array.from({ length: clientsInARound }, () => send(app.port, bytes(), random))
      const first = open(`${wsUrl}/first`, { cookie })
      await round.firstIsThere
      senders.forEach(leaveLate)
      for (const client of await Promise.all([first, open(`${wsUrl}/second`, { cookie })])) {
        client.ws.send('still here')
        expect(await client.next()).toBe('still here')
        client.ws.close()
        await client.closed
      }
      // Not expect.poll: vitest keeps something of each until the test ends.
      await until(() => app.bridge.stats().pending === 0)
      await gone(senders)
    }

    for (let count = 0; count < scaled(20, 400); count += 1) await roundOf(() => mutate(good, random))
    const left = await watchLeftBehind(app, timers)
    for (let count = 0; count < rounds; count += 1) await roundOf(() => mutate(good, random))

    const seen = await left.isNothing()
    const { accepted, refused, faults, ended } = app.bridge.stats()
    console.log(`${rounds * clientsInARound} mangled upgrades: ${accepted} let in, refused: ${told(refused)}; ${seen}`)
    expect(faults).toBe(0)
    expect(ended).toMatchObject({ closed: accepted })
    expect(refused).toMatchObject({ timeout: 0, 'store-failed': 0, 'authorize-failed': 0, 'too-many-pending': 0 })
    // The changes were worth the while: some clients were let in, some refused for this reason and some for that.
    expect(accepted).toBeGreaterThan(2 * rounds + 100)
    for (const reason of ['bad-request', 'origin-denied', 'bad-signature', 'client-gone'] as const) {
      expect(refused[reason]).toBeGreaterThan(0)
    }
  })
})

function told(refused: Readonly<Record<RefusalReason, number>>): string {
  return Object.entries(refused)
    .filter(([, count]) => count > 0)
    .map(([reason, count]) => `${reason} ${count}`)
    .join(', ')
}
