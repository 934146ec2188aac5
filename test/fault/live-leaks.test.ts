import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { record, rest, startBridge, until } from '../live/bound.js'
import { TtlStore } from '../live/ttl-store.js'
import { startApp } from '../support/app.js'
import { heapUsed } from '../support/heap.js'

/** What is no longer referenced is gone after this. */
async function collected(): Promise<void> {
  for (let round = 0; round < 3; round += 1) {
    await rest()
    heapUsed()
  }
}

describe('200 connects and disconnects', () => {
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
    await until(() => app.bridge.stats().sockets === 0)
    await collected()
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
        // A Session is made, and pins the request for as long as it is referenced.
        expect(request.session.user).toBe('ada')
        requests.push(new WeakRef(request))
      },
    })
    const cookie = await app.login('ada')
    const sockets = Array.from({ length: 50 }, () => new WebSocket(app.wsUrl, { headers: { cookie } }))
    await Promise.all(sockets.map((ws) => new Promise((resolve) => ws.on('open', resolve))))
    await until(() => requests.length === 50)
    await collected()
    const left = requests.filter((request) => request.deref() !== undefined).length
    console.log(`requests kept by 50 open sockets: ${left}`)
    expect(app.bridge.stats().sockets).toBe(50)
    expect(left).toBeLessThanOrEqual(5)
    for (const ws of sockets) ws.terminate()
  })

  it('is not the Cookie header that its session ID was cut out of', async () => {
    const sessions = new TtlStore()
    const { bridge, bind } = startBridge({ store: sessions })
    const others = 'a'.repeat(100_000)
    // As some clients write it: unescaped, so that the ID is a part of the header itself.
    const signed = bridge.signedCookie.bind(bridge)
    bridge.signedCookie = (sessionID) => `others=${others}; ${decodeURIComponent(signed(sessionID))}`
    const before = heapUsed()
    for (let index = 0; index < 200; index += 1) {
      const sessionID = `a session ID of the usual length ${index}`
      sessions.data.set(sessionID, { json: JSON.stringify(record()), expiresAt: Infinity })
      await bind(sessionID)
    }
    await collected()
    expect(bridge.stats().sessions).toBe(200)
    expect(heapUsed() - before).toBeLessThan(200 * others.length * 0.1)
  })
})
