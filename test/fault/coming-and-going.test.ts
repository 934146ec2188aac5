import { setImmediate as turn } from 'node:timers/promises'
import { Cookie, MemoryStore, type SessionData } from 'express-session'
import { describe, expect, it } from 'vitest'
import { startApp, type App } from '../support/app.js'
import { createRandom, type Random } from '../support/random.js'
import { rawRequest, upgradeRequest, type RawRequest } from '../support/raw-request.js'
import { scaled, seedOf } from '../support/soak.js'
import { closeFrame, textFrame } from '../upgrade/raw-socket.js'
import { watchLeftBehind } from './left-behind.js'
import { watchTimeouts } from './open-timeouts.js'

const count = scaled(3_000, 200_000)
const together = 200
const sessions = 50

/** Takes a moment to answer, so that clients can leave in the middle. */
class UnhurriedStore extends MemoryStore {
  constructor(readonly random: Random) {
    super()
  }

  override readonly get = (sessionID: string, callback: (error: unknown, session?: SessionData | null) => void) => {
    const turns = this.random.below(12)
    const answer = async () => {
      for (let left = turns; left > 0; left -= 1) await turn()
      super.get(sessionID, callback)
    }
    void answer()
  }
}

const half = { allowHalfOpen: true }

interface Visitor {
  readonly app: App
  readonly random: Random
  /** Of an upgrade that will be let in, to this path. */
  request(path?: string): string
}

async function turns(random: Random): Promise<void> {
  for (let left = random.below(20); left > 0; left -= 1) await turn()
}

/** Answers the server's close frame, as a browser does. */
async function answersTheEnd(client: RawRequest, reason: string): Promise<void> {
  await client.receivedUntil(reason)
  client.socket.write(closeFrame, 'latin1')
  await client.received()
}

/** How a client comes and goes. The weights keep those few that hold a place for a second. */
const manners: [weight: number, comeAndGo: (visitor: Visitor) => Promise<unknown>][] = [
  // Says goodbye.
  [
    20,
    async ({ app, request }) => {
      const client = rawRequest(app.port, request() + textFrame('hello'))
      await client.receivedUntil('hello')
      client.socket.write(closeFrame, 'latin1')
      await client.received()
    },
  ],
  // A FIN, without a word.
  [
    15,
    async ({ app, request }) => {
      const client = rawRequest(app.port, request())
      await client.receivedUntil('\r\n\r\n')
      client.socket.end()
      await client.received()
    },
  ],
  // A reset.
  [
    15,
    async ({ app, request }) => {
      const client = rawRequest(app.port, request())
      await client.receivedUntil('\r\n\r\n')
      client.socket.resetAndDestroy()
      await client.received()
    },
  ],
  // A FIN that comes along with the upgrade, and one with a message before it, which hides it.
  [
    10,
    async ({ app, random, request }) => {
      const client = rawRequest(app.port, request() + (random.share() < 0.5 ? textFrame('hello') : ''))
      client.socket.end()
      await client.received()
    },
  ],
  // A reset while the store is being asked.
  [
    15,
    async ({ app, random, request }) => {
      const client = rawRequest(app.port, request())
      client.socket.once('connect', () => {
        void turns(random).then(() => client.socket.resetAndDestroy())
      })
      await client.received()
    },
  ],
  // Half an upgrade.
  [
    5,
    async ({ app, random, request }) => {
      const bytes = request()
      const client = rawRequest(app.port, bytes.slice(0, random.below(bytes.length)))
      await turns(random)
      client.socket.destroy()
      await client.received()
    },
  ],
  // A forged cookie.
  [
    5,
    async ({ app, request }) => {
      const client = rawRequest(app.port, request().replace('s%3A', 's%3Ax'))
      expect(await client.received()).toMatch(/^HTTP\/1\.1 401 /)
    },
  ],
  // Ended by the server, and logged out.
  [10, async ({ app, request }) => answersTheEnd(rawRequest(app.port, request('/ws?end')), 'disconnected')],
  [
    5,
    async ({ app, random }) => {
      const own = `own ${random.share()}`
      app.store.set(own, { cookie: new Cookie() })
      const client = rawRequest(app.port, upgradeRequest({ cookie: app.bridge.signedCookie(own) }))
      await client.receivedUntil('\r\n\r\n')
      app.store.destroy(own)
      await answersTheEnd(client, 'destroyed')
    },
  ],
  // Stalls: answers neither the close frame nor the FIN of the server, which cuts it.
  [1, async ({ app, request }) => stalls(rawRequest(app.port, request('/ws?end'), half))],
  [1, async ({ app, request }) => stalls(rawRequest(app.port, request().replace('s%3A', 's%3Ax'), half))],
]
const weights = manners.reduce((sum, [weight]) => sum + weight, 0)

/** Until the server has it no more: only then does it see that its own end is of no use. */
async function stalls(client: RawRequest): Promise<void> {
  await new Promise((resolve) => client.socket.once('end', resolve))
  // A write to a connection that is gone is answered by a reset.
  const sending = setInterval(() => client.socket.write('x'), 100)
  await client.received()
  clearInterval(sending)
}

async function storm(app: App, random: Random, visits: number): Promise<void> {
  let left = visits
  const visitor: Visitor = {
    app,
    random,
    request: (path = '/ws') =>
      upgradeRequest({ path, cookie: app.bridge.signedCookie(`id ${random.below(sessions)}`) }),
  }
  const visitAgain = async (): Promise<void> => {
    while (left > 0) {
      left -= 1
      let at = random.share() * weights
      await manners.find(([weight]) => (at -= weight) < 0)![1](visitor)
    }
  }
  await Promise.all(Array.from({ length: together }, visitAgain))
}

describe(`${count} connects and disconnects, with resets, FINs and stalls among them`, () => {
  it('leave heap, timers, listeners and sockets where they were', async () => {
    const random = createRandom(seedOf('CONNECT_SEED'))
    const timers = watchTimeouts()
    const app = await startApp({
      store: new UnhurriedStore(random),
      bridge: { authorize: () => true },
      onConnection(ws, request, context) {
        ws.on('message', (data: Buffer) => ws.send(data.toString()))
        if (request.url?.endsWith('?end')) setImmediate(() => app.bridge.disconnect((one) => one === context))
      },
    })
    for (let index = 0; index < sessions; index += 1) {
      const cookie = new Cookie()
      cookie.maxAge = 3_600_000
      app.store.set(`id ${index}`, { cookie })
    }
    await storm(app, random, 3_000)
    const left = await watchLeftBehind(app, timers)
    const begun = performance.now()
    await storm(app, random, count)
    const seconds = (performance.now() - begun) / 1_000
    const seen = await left.isNothing()
    const { accepted, refused, ended, faults } = app.bridge.stats()
    console.log(
      `${count} visits in ${seconds.toFixed(0)} s: ${accepted} let in; ${ended.closed} left, ` +
        `${ended.disconnected + ended.destroyed} were ended; ${refused['client-gone']} left before; ${seen}`,
    )
    expect(faults).toBe(0)
    expect(refused).toMatchObject({ timeout: 0, 'store-failed': 0, 'no-session': 0, 'too-many-pending': 0 })
    expect(ended.closed + ended.disconnected + ended.destroyed).toBe(accepted)
    for (const figure of [refused['client-gone'], ended.closed, ended.disconnected, ended.destroyed]) {
      expect(figure).toBeGreaterThan(count / 50)
    }
  })
})
