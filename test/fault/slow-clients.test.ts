import { once } from 'node:events'
import { Cookie } from 'express-session'
import { describe, expect, it } from 'vitest'
import type { SessionContext } from 'ws-session-bridge'
import { startApp, type App } from '../support/app.js'
import { rawRequest, upgradeRequest, type RawRequest } from '../support/raw-request.js'
import { scaled } from '../support/soak.js'
import { until } from '../live/bound.js'
import { textFrame } from '../upgrade/raw-socket.js'
import { watchLeftBehind } from './left-behind.js'
import { watchTimeouts } from './open-timeouts.js'

const clients = scaled(100, 1_000)
const sessions = 10

/** More than the kernel takes for a client that reads nothing, for one in fifty of them. */
const backlogs = { every: 50, bytes: 16 * 2 ** 20 }

/** From the first second of grace to the last, with some room for a busy machine. */
const longestMs = 10_000

/**
 * So many clients at once. Half of them read nothing at all, and some of those have megabytes to read. The other half read
 * all, answer no close frame and go on talking.
 */
async function open(app: App, count: number): Promise<RawRequest[]> {
  const arrived = app.bridge.stats().accepted + count
  const opened = Array.from({ length: count }, (_, index) => {
    const cookie = app.bridge.signedCookie(`id ${index % sessions}`)
    const path = index % (2 * backlogs.every) === 0 ? '/ws?backlog' : '/ws'
    const client = rawRequest(app.port, upgradeRequest({ path, cookie }), { allowHalfOpen: true })
    if (index % 2 === 0) client.socket.pause()
    return client
  })
  await until(() => app.bridge.stats().accepted === arrived)
  return opened
}

/** The ends that a server can give; after the last one it goes on with none. */
const ends: [name: string, how: (app: App) => unknown][] = [
  ['disconnect()', ({ bridge }) => bridge.disconnect(() => true)],
  [
    'a logout of every session',
    ({ store }) => {
      for (let index = 0; index < sessions; index += 1) store.destroy(`id ${index}`)
    },
  ],
  ['close()', ({ bridge }) => bridge.close()],
]

async function start() {
  const late: string[] = []
  const handlers = new Set<SessionContext>()
  const timers = watchTimeouts()
  const app = await startApp({
    bridge: { authorize: () => true },
    onConnection(ws, request, context) {
      handlers.add(context)
      ws.on('message', () => {
        if (context.ended !== undefined) late.push(context.ended.reason)
      })
      if (request.url?.endsWith('backlog')) ws.send(Buffer.alloc(backlogs.bytes))
    },
  })
  const logIn = () => {
    for (let index = 0; index < sessions; index += 1) app.store.set(`id ${index}`, { cookie: new Cookie() })
  }
  return { app, late, handlers, timers, logIn }
}

/** Talks on as those do that have not heard of their end. Resolves to how long it took until the server had none of them. */
async function end(app: App, opened: readonly RawRequest[], how: (app: App) => unknown): Promise<number> {
  const begun = performance.now()
  const talking = setInterval(() => {
    opened.forEach(({ socket }, index) => {
      if (index % 2 === 1 && socket.writable) socket.write(textFrame('too late'), 'latin1')
    })
  }, 100)
  const done = how(app)
  await until(() => app.wss.clients.size === 0)
  await done
  clearInterval(talking)
  return performance.now() - begun
}

async function leave(opened: readonly RawRequest[]): Promise<void> {
  for (const { socket } of opened) if (!socket.destroy().closed) await once(socket, 'close')
}

describe(`${clients} clients that read nothing, or answer no close frame`, () => {
  it('are gone a moment after each kind of end, and nothing of them is left', { timeout: 120_000 }, async () => {
    const { app, late, handlers, timers, logIn } = await start()
    // A function, since an async one holds what its loops have held until it is done.
    const roundOf = async (how: (app: App) => unknown) => {
      logIn()
      const opened = await open(app, clients)
      const backlog = [...app.wss.clients].filter(({ bufferedAmount }) => bufferedAmount > 0).length
      expect(backlog).toBeGreaterThan(0)
      const ms = await end(app, opened, how)
      expect(ms).toBeLessThan(longestMs)
      expect(handlers.size).toBe(clients)
      expect([...handlers].filter(({ ended }) => ended === undefined)).toEqual([])
      expect(late).toEqual([])
      await leave(opened)
      handlers.clear()
      return `${clients} slow clients, ${backlog} with a backlog, gone within ${ms.toFixed(0)} ms`
    }
    // As many as later, to be warm: Node keeps a thousand of its parsers for the next requests.
    await roundOf(ends[0]![1])
    const left = await watchLeftBehind(app, timers)
    for (const [name, how] of ends) console.log(`${name}: ${await roundOf(how)}`)
    console.log(await left.isNothing('closed'))
  })
})
