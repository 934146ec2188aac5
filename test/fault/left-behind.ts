// the proof that the storm leaves nothing behind, neither while the app goes on nor
// after its end.
import type { EventEmitter } from 'node:events'
import type { Server } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { expect } from 'vitest'
import type { SessionBridge } from 'ws-session-bridge'
import type { App } from '../support/app.js'
import { heapUsed } from '../support/heap.js'
import { rest } from '../live/bound.js'
import type { OpenTimeouts } from './open-timeouts.js'

/** A storm may leave the code warmer, and that is all. In bytes. */
export const heapTolerance = 2 ** 20

/** The bridge's own are a handful; those that are idle are kept for the next connection. */
const idleTimers = 8

export interface LeftBehind {
  /**
   * To be called when the storm is over, and `bridge.close()` perhaps part of it: everything comes to rest by itself. Resolves
   * to what was seen, for a log.
   */
  isNothing(bridgeIs?: 'open' | 'closed'): Promise<string>
}

/** To be called before the storm, when the same has happened a few times, so that all code is loaded and compiled. */
export async function watchLeftBehind(app: App, timers: OpenTimeouts): Promise<LeftBehind> {
  await isAtRest(app)
  const before = { listeners: listenersOf(app), resources: resources(), heap: await leastHeap(app, timers) }

  return {
    async isNothing(bridgeIs = 'open') {
      await isAtRest(app)
      const heap = await leastHeap(app, timers)
      const seen = `heap ${mebibytes(before.heap)} → ${mebibytes(heap)} MiB, timers ${timers.count}`
      expect(app.bridge.stats()).toMatchObject({ pending: 0, sockets: 0, sessions: 0 })
      expect([...app.bridge.connections()]).toEqual([])
      if (bridgeIs === 'open') expect(listenersOf(app)).toEqual(before.listeners)
      expect(resources()).toEqual(before.resources)
      expect(timers.count).toBeLessThanOrEqual(idleTimers)
      expect(heap - before.heap, seen).toBeLessThan(heapTolerance)
      await app.bridge.close()
      expectClosed(app.bridge, app, timers)
      return seen
    },
  }
}

/** After `bridge.close()`: the store is as it was, without a listener, and no timer is set. */
export function expectClosed(
  bridge: SessionBridge,
  { store, server }: Pick<App, 'store' | 'server'>,
  timers: OpenTimeouts,
): void {
  expect(bridge.stats()).toMatchObject({ pending: 0, sockets: 0, sessions: 0 })
  for (const method of ['set', 'touch', 'destroy', 'clear']) expect(Object.hasOwn(store, method)).toBe(false)
  // The app's own session middleware listens on.
  expect([store.listenerCount('connect'), store.listenerCount('disconnect')]).toEqual([1, 1])
  expect(server.listenerCount('upgrade')).toBe(0)
  expect(timers.count).toBe(0)
}

async function isAtRest({ bridge, server, wss }: App): Promise<void> {
  await expect.poll(() => connectionsOf(server), { interval: 5, timeout: 20_000 }).toBe(0)
  await expect.poll(() => wss.clients.size, { interval: 5, timeout: 20_000 }).toBe(0)
  await expect.poll(() => bridge.stats(), { timeout: 20_000 }).toMatchObject({ pending: 0, sockets: 0, sessions: 0 })
  await rest()
}

/** The connections that a server still has. */
export function connectionsOf(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => {
      if (error) reject(error)
      else resolve(count)
    })
  })
}

/* On what outlives a connection. express-session and vitest have listeners, too, and they stay the same. */
function listenersOf({ bridge, store, wss, server }: App): Record<string, Record<string, number>> {
  return Object.fromEntries(
    Object.entries({ bridge, store, wss, server, process }).map(([name, emitter]) => [
      name,
      counted(emitter as Emitting),
    ]),
  )
}

type Emitting = Pick<EventEmitter, 'eventNames' | 'listenerCount'>

function counted(emitter: Emitting): Record<string, number> {
  return Object.fromEntries(emitter.eventNames().map((event) => [String(event), emitter.listenerCount(event)]))
}

/* Sockets, servers, pipes: what Node itself says it has open. Its timers and requests come and go. */
function resources(): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const type of process.getActiveResourcesInfo()) {
    if (type.endsWith('Wrap') && !type.includes('Req')) counts[type] = (counts[type] ?? 0) + 1
  }
  return counts
}

/* What the fixtures keep for tests that look at it is no leak of the bridge. */
async function leastHeap({ refusals, faults }: App, timers: OpenTimeouts): Promise<number> {
  timers.forget()
  refusals.length = 0
  faults.length = 0
  return await leastHeapUsed()
}

/** In bytes, when all is at rest. */
export async function leastHeapUsed(): Promise<number> {
  let least = Infinity
  // There is no event for when Node has let go of the last sockets, and the collector of the last objects.
  for (let round = 0; round < 6; round += 1) {
    await pause(100)
    least = Math.min(least, heapUsed())
  }
  return least
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(2)
}
