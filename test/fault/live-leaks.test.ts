import { EventEmitter } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { MemoryStore } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'
import { rest } from '../live/bound.js'
import { watchTimers } from '../live/open-timers.js'
import { startApp, type App } from '../support/app.js'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

async function heapUsed(): Promise<number> {
  for (let round = 0; round < 3; round += 1) {
    await rest()
    collectGarbage()
  }
  return process.memoryUsage().heapUsed
}

/** How many listeners there are on what outlives a connection. */
function listenersOf({ bridge, store, wss, server }: App): number {
  const count = (emitter: EventEmitter): number =>
    emitter.eventNames().reduce((sum, event) => sum + emitter.listenerCount(event), 0)
  return [bridge, store, wss, server].reduce((sum, emitter) => sum + count(emitter as EventEmitter), 0)
}

describe('4,000 connects and disconnects', () => {
  it('leave heap, timers and listeners where they were', async () => {
    const store = new MemoryStore()
    const app = await startApp({
      store,
      session: { cookie: { maxAge: 3_600_000 } },
      bridge: { authorize: () => true },
      onConnection(ws, request, context) {
        ws.on('message', () => ws.send(String(context.session.user ?? request.session.user)))
      },
    })
    const cookies: string[] = []
    for (let index = 0; index < 20; index += 1) cookies.push(await app.login(`user ${index}`))
    const timers = watchTimers()

    /** So many sockets, a hundred at a time: some leave, some are cut, some are ended. */
    const connectAndLeave = async (count: number): Promise<void> => {
      for (let batch = 0; batch < count / 100; batch += 1) {
        const sockets = Array.from({ length: 100 }, (_, index) => {
          const ws = new WebSocket(app.wsUrl, { headers: { cookie: cookies[index % 20]! } })
          const closed = new Promise<void>((resolve) => ws.on('close', () => resolve()))
          return {
            ws,
            closed,
            answered: new Promise((resolve) => ws.on('message', resolve).on('open', () => ws.send('?'))),
          }
        })
        await Promise.all(sockets.map(({ answered }) => answered))
        expect(app.bridge.stats()).toMatchObject({ sockets: 100, sessions: 20, pending: 0 })
        for (const [index, { ws }] of sockets.entries()) {
          if (index % 3 === 0) ws.close()
          else if (index % 3 === 1) ws.terminate()
        }
        app.bridge.disconnect(() => true)
        await Promise.all(sockets.map(({ closed }) => closed))
        await vi.waitUntil(() => app.wss.clients.size === 0 && app.bridge.stats().sockets === 0)
      }
    }

    await connectAndLeave(1_000)
    await rest()
    const before = { heap: await heapUsed(), timers: timers.count, listeners: listenersOf(app) }
    await connectAndLeave(4_000)
    await rest()
    const after = { heap: await heapUsed(), timers: timers.count, listeners: listenersOf(app) }

    const growth = after.heap - before.heap
    console.log(
      `heap ${(before.heap / 2 ** 20).toFixed(1)} → ${(after.heap / 2 ** 20).toFixed(1)} MiB, ` +
        `${(growth / 4_000).toFixed(0)} bytes a connection; timers ${before.timers} → ${after.timers}; ` +
        `listeners ${before.listeners} → ${after.listeners}`,
    )
    expect(app.bridge.stats()).toMatchObject({ sockets: 0, sessions: 0, pending: 0, accepted: 5_000, faults: 0 })
    expect([...app.bridge.connections()]).toEqual([])
    expect(after.listeners).toBe(before.listeners)
    // The bridge's own are a handful; those that are idle are kept for the next connection.
    expect(after.timers).toBeLessThanOrEqual(Math.max(before.timers, 6))
    // A socket or a context that is left behind is 1,000 bytes and more; the code that has become warm is not.
    expect(growth).toBeLessThan(4_000 * 500)

    await app.bridge.close()
    expect(Object.hasOwn(store, 'set')).toBe(false)
  })

  it('leave no context behind', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const contexts: WeakRef<object>[] = []
    app.bridge.on('accept', (context) => contexts.push(new WeakRef(context!)))
    for (let batch = 0; batch < 10; batch += 1) {
      const sockets = Array.from({ length: 20 }, () => new WebSocket(app.wsUrl, { headers: { cookie } }))
      await Promise.all(sockets.map((ws) => new Promise((resolve) => ws.on('open', resolve))))
      await Promise.all(
        sockets.map((ws) => {
          ws.close()
          return new Promise((resolve) => ws.on('close', resolve))
        }),
      )
    }
    await vi.waitUntil(() => app.bridge.stats().sockets === 0)
    await heapUsed()
    const left = contexts.filter((context) => context.deref() !== undefined)
    expect(contexts).toHaveLength(200)
    // The last batch may still be held by sockets that Node has not let go of.
    expect(left.length).toBeLessThanOrEqual(20)
  })
})

describe('what a context keeps', () => {
  it('is neither the request nor its raw socket’s headers', async () => {
    const requests: WeakRef<object>[] = []
    const app = await startApp({
      onConnection(_ws, request) {
        // A Session is made, and pins the request for as long as somebody has it.
        expect(request.session.user).toBe('ada')
        requests.push(new WeakRef(request))
      },
    })
    const cookie = await app.login('ada')
    const sockets = Array.from({ length: 50 }, () => new WebSocket(app.wsUrl, { headers: { cookie } }))
    await Promise.all(sockets.map((ws) => new Promise((resolve) => ws.on('open', resolve))))
    await vi.waitUntil(() => requests.length === 50)
    await heapUsed()
    const left = requests.filter((request) => request.deref() !== undefined).length
    console.log(`requests kept by 50 open sockets: ${left}`)
    expect(app.bridge.stats().sockets).toBe(50)
    expect(left).toBeLessThanOrEqual(5)
    for (const ws of sockets) ws.terminate()
  })
})
